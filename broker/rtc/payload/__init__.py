"""From encoded frames to RTP payloads and back, a file a codec."""
