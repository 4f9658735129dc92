"""The certificates of the laboratory: one that is good for every host of every domain, and every bad one."""

from __future__ import annotations

import datetime
import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from assess.tls_peers import DAY, NOW, Issued, issue


class Certificates:
    """``files`` maps a kind to a file with key and chain; ``key`` is the SHA-256 of the good key as TLSA has it."""

    def __init__(self, folder: Path, domains: Iterable[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"*.{domain}" for domain in domains]
        root = issue("Root of the laboratory", authority=True, organisation="Laboratory")
        between = issue("Between", root, authority=True, organisation="Laboratory")
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(root.pem)
        key = ec.generate_private_key(ec.SECP256R1())
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key = hashlib.sha256(spki).hexdigest()
        made = {
            "good": issue("lab", between, *names, key=key),
            "expired": issue("lab", between, *names, key=key, begins=NOW - 90 * DAY, ends=NOW - 2 * DAY),
            "early": issue("lab", between, *names, key=key, begins=NOW + 20 * DAY, ends=NOW + 90 * DAY),
            "soon": issue("lab", between, *names, key=key, begins=NOW - 80 * DAY, ends=NOW + 6 * DAY),
            "other-name": issue("other", between, "other.example", key=key),
            "no-names": issue(f"mail.{names[0][2:]}", between, key=key),
            "absurd": issue(
                "lab",
                between,
                *names,
                key=key,
                begins=datetime.datetime(1951, 1, 1, tzinfo=datetime.UTC),
                ends=datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC),
            ),
            "rsa": issue("lab", between, *names, key=rsa.generate_private_key(65537, 2048)),
            "short-key": issue("lab", between, *names, key=rsa.generate_private_key(65537, 1024)),
            "other-key": issue("lab", between, *names),
        }
        self.files = {kind: one.write(folder, between) for kind, one in made.items()}
        self.files["self-signed"] = issue("lab", None, *names, key=key).write(folder)
        self.files["incomplete"] = issue("lab", between, *names, key=key).write(folder)
        stranger = issue("Stranger", authority=True)
        self.files["stranger"] = issue("lab", stranger, *names, key=key).write(folder, stranger)
        self.files["sha1"] = _by_openssl(folder, "sha1", between, names, "rsa:2048", "-sha1")
        self.files["tiny-key"] = _by_openssl(folder, "tiny-key", between, names, "rsa:768", "-sha256")


def _by_openssl(folder: Path, name: str, issuer: Issued, names: list[str], key: str, digest: str) -> Path:
    """What only OpenSSL will still make."""
    above = issuer.write(folder)
    request, pem, out, wanted = (folder / f"{name}.{suffix}" for suffix in ("csr", "key", "crt", "ext"))
    wanted.write_text("subjectAltName=" + ",".join(f"DNS:{one}" for one in names) + "\n")
    made = ["openssl", "req", "-new", "-nodes", "-newkey", key, "-subj", "/CN=lab", "-keyout", str(pem)]
    signed = ["openssl", "x509", "-req", "-in", str(request), "-CA", str(above), "-CAkey", str(above)]
    signed += ["-CAcreateserial", "-days", "90", digest, "-extfile", str(wanted), "-out", str(out)]
    subprocess.run([*made, "-out", str(request)], check=True, capture_output=True)
    subprocess.run(signed, check=True, capture_output=True)
    path = folder / f"{name}.pem"
    path.write_bytes(pem.read_bytes() + out.read_bytes() + issuer.pem)
    return path
