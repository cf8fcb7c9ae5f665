"""DTLS with one peer: handshake, keys for SRTP, and application data (RFC 5764, 8842).

OpenSSL through pyOpenSSL's memory buffers, driven by the datagrams that arrive
and by one timer: no task, no queue. aiortc's RTCDtlsTransport would need both,
writes at most 1500 bytes of a flight, and reads one record of a datagram.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct
from OpenSSL import SSL

MTU: Final = 1200
"""Largest datagram of a handshake, in bytes: what every IPv6 path carries."""

_CIPHERS: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
_RECORD_MAX: Final = 16_384
_HASHES: Final = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}
# Name, key bytes, salt bytes (RFC 5764 §4.1.2, RFC 7714 §14.2), cheapest first.
_PROFILES: Final = {
    b"SRTP_AEAD_AES_128_GCM": (16, 12),
    b"SRTP_AEAD_AES_256_GCM": (32, 12),
    b"SRTP_AES128_CM_SHA1_80": (16, 14),
}


class DtlsFailed(Exception):
    """The handshake cannot succeed any more."""


class DtlsClosed(Exception):
    """The peer closed the connection (close_notify)."""


class Fingerprint(Struct, frozen=True):
    """Hash of a peer's certificate, as in `a=fingerprint` (RFC 8122)."""

    algorithm: str
    value: str  # upper-case hex pairs, separated by colons


class SrtpKeys(Struct, frozen=True):
    """What SRTP needs: profile name, and master key with salt for each direction."""

    profile: str
    send: bytes
    receive: bytes


class Identity:
    """This end's self-signed certificate, shared by all of its peers."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            # Trust comes from the fingerprint; the date only must outlive the process.
            .not_valid_after(now + datetime.timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = fingerprint_of(certificate, "sha-256")
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
            lambda *_: True,  # any certificate here: its fingerprint decides
        )
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)
        self.context.set_cipher_list(_CIPHERS)
        self.context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
        self.context.set_tlsext_use_srtp(b":".join(_PROFILES))


class Dtls:
    """One end of one DTLS connection.

    `send` transmits a datagram. After every call, look at `connected`, and call
    `on_timeout` when `timeout_s()` has passed without another call.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        server: bool,
        fingerprints: Sequence[Fingerprint],
        send: Callable[[bytes], None],
    ) -> None:
        self.keys: SrtpKeys | None = None  # once connected
        self._server = server
        self._fingerprints = fingerprints
        self._send = send
        self._ssl = SSL.Connection(identity.context, None)
        self._ssl.set_ciphertext_mtu(MTU)
        if server:
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()

    @property
    def connected(self) -> bool:
        """Whether the handshake is complete and the peer is who the SDP said."""
        return self.keys is not None

    def start(self) -> None:
        """Send the first flight (the client's part). Raises DtlsFailed."""
        self._handshake()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take a datagram; returns the application data in it, record by record.

        Raises DtlsFailed during the handshake and DtlsClosed after it. Forged or
        broken records change nothing (RFC 6347 §4.1.2.7).
        """
        if not datagram:
            return []
        self._ssl.bio_write(datagram)
        if self.keys is None:
            self._handshake()
            if self.keys is None:
                return []
        received: list[bytes] = []
        try:
            while True:
                received.append(self._ssl.recv(_RECORD_MAX))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            raise DtlsClosed from None
        except SSL.Error:
            pass  # aborted by an alert: liveness or the peer's next offer ends it
        self._flush()  # an answer to a flight that was sent again
        return received

    def send(self, data: bytes) -> bool:
        """Send application data as one record. False if that is not possible."""
        if self.keys is None:
            return False
        try:
            self._ssl.send(data)
        except SSL.Error:
            return False
        self._flush()
        return True

    def timeout_s(self) -> float | None:
        """Seconds until a flight must be sent again; None if nothing is due."""
        return None if self.keys is not None else self._ssl.DTLSv1_get_timeout()

    def on_timeout(self) -> None:
        """Send the flight again, if that is due. Raises DtlsFailed."""
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise DtlsFailed(f"no answer to the handshake: {error}") from None
        self._flush()

    def close(self) -> None:
        """Say goodbye with close_notify."""
        try:
            self._ssl.shutdown()
        except SSL.Error:
            return
        self._flush()

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            self._flush()  # the alert that tells the peer
            raise DtlsFailed(f"handshake refused: {_reason(error)}") from None
        self._flush()
        self._check_fingerprint()
        self.keys = self._export_keys()

    def _check_fingerprint(self) -> None:
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        known = [one for one in self._fingerprints if one.algorithm in _HASHES]
        if certificate is None or not known:
            raise DtlsFailed("the peer offered no fingerprint to check")
        # All that we can compute must match (RFC 8122 §5).
        if any(one != fingerprint_of(certificate, one.algorithm) for one in known):
            raise DtlsFailed("the certificate is not the one of the offer")

    def _export_keys(self) -> SrtpKeys:
        profile = self._ssl.get_selected_srtp_profile()
        if profile not in _PROFILES:
            raise DtlsFailed("no SRTP protection profile in common")
        key, salt = _PROFILES[profile]
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        send, receive = (server, client) if self._server else (client, server)
        return SrtpKeys(profile.decode(), send, receive)

    def _flush(self) -> None:
        output = b""
        while True:
            try:
                output += self._ssl.bio_read(65_536)
            except SSL.Error:  # nothing (more) to write
                break
        for datagram in split_flight(output):
            self._send(datagram)


def split_flight(output: bytes) -> Iterator[bytes]:
    """Cut what OpenSSL wrote into datagrams of whole records, at most MTU bytes.

    A single record above MTU (application data) is a datagram of its own.
    """
    start = position = 0
    while position + 13 <= len(output):
        size = 13 + int.from_bytes(output[position + 11 : position + 13], "big")
        if position > start and position + size - start > MTU:
            yield output[start:position]
            start = position
        position += size
    if start < len(output):
        yield output[start:]


def fingerprint_of(certificate: x509.Certificate, algorithm: str) -> Fingerprint:
    """A certificate's fingerprint with "sha-256", "sha-384" or "sha-512"."""
    digest = certificate.fingerprint(_HASHES[algorithm])
    return Fingerprint(algorithm, digest.hex(":").upper())


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words for a failure, without its codes."""
    entries = error.args[0] if error.args else None
    if isinstance(entries, list) and entries and isinstance(entries[-1], tuple):
        return str(entries[-1][-1])
    return "connection broken"
