"""The WebRTC engine of both ends: one UDP socket, many peers, no people."""
