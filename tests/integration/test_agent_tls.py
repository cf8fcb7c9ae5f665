"""The agent over TLS: trusts only what it was told to trust."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.conftest import StartAgent, StartBroker
from tests.support.broker import Broker


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of its own for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker under test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.fixture
async def tls_broker(start_broker: StartBroker, certificate: tuple[Path, Path]) -> Broker:
    """A broker that speaks TLS itself."""
    return await start_broker("--certificate", str(certificate[0]), "--key", str(certificate[1]))


async def test_an_authority_given_by_option_is_trusted(
    tls_broker: Broker, start_agent: StartAgent, certificate: tuple[Path, Path]
) -> None:
    agent = await start_agent(tls_broker, options=("--ca", str(certificate[0])))
    assert len(await agent.code()) == 12
    await agent.quit()
    assert await agent.child.wait() == 0


async def test_an_unknown_authority_is_not_trusted_and_not_tried_again(
    tls_broker: Broker, start_agent: StartAgent
) -> None:
    agent = await start_agent(tls_broker)
    await agent.child.line("certificate of https://127.0.0.1:.* is not trusted")
    await agent.child.line("--ca FILE")
    assert await agent.child.wait() == 1
