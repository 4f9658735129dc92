"""Servers for the tests of the TLS sweep: OpenSSL's own, nginx, and hostile ones; and certificates of every kind."""

from __future__ import annotations

import asyncio
import datetime
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from peers.process import answers, free_port, wait_until

# The 1024-bit group of RFC 2409 section 6.2, as old servers have it.
OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path, *above: Issued) -> Path:
        """A file with the key and the chain, as servers read it; its path."""
        path = folder / f"{self.certificate.serial_number:x}.pem"
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(key + self.pem + b"".join(one.pem for one in above))
        if above:
            path.with_suffix(".above").write_bytes(b"".join(one.pem for one in above))
        return path


def issue(
    common_name: str,
    issuer: Issued | None = None,
    *names: str,
    authority: bool = False,
    begins: datetime.datetime = NOW - DAY,
    ends: datetime.datetime = NOW + 90 * DAY,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    organisation: str = "",
    extensions: Sequence[x509.ExtensionType] = (),
) -> Issued:
    """A certificate of ``issuer``, or one signed by itself."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    subject = x509.Name(attributes)
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())  # type: ignore[arg-type]  # keys that sign are keys of certificates
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signer = issuer.key if issuer else key
    plain = isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey)
    return Issued(builder.sign(signer, hashes.SHA256() if plain else None), key)


def by_openssl(folder: Path, *arguments: str) -> bytes:
    """The DER of a certificate that only OpenSSL will still make."""
    out, key = folder / "odd.der", folder / "odd.key"
    command = ["openssl", "req", "-x509", "-nodes", "-outform", "DER", "-out", str(out), "-keyout", str(key)]
    subprocess.run([*command, *arguments], check=True, capture_output=True)
    return out.read_bytes()


@contextmanager
def s_server(chain: Path, *arguments: str) -> Iterator[int]:
    """``openssl s_server`` on a port of loopback."""
    port = free_port()
    beside = chain.with_suffix(".above")
    above = ("-cert_chain", str(beside)) if beside.exists() else ()
    command = ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", str(chain)]
    process = subprocess.Popen(
        [*command, "-key", str(chain), *above, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(port), "openssl s_server")
        yield port
    finally:
        process.kill()
        process.communicate()


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(behaviour: Behaviour) -> AsyncIterator[int]:
    """A server of our own that does to each connection what ``behaviour`` says, and then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
