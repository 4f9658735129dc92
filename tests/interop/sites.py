"""Installations that the interop tests are run against: the playground, and the doors before Dovecot and Postfix."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from joserfc.jwk import ECKey

from peers.clients import Login, enrol_certificate
from peers.dovecot import Dovecot
from peers.gambeson import Gambeson
from peers.people import ACCOUNTS, MASTER
from peers.pki import Pki
from peers.postfix import Postfix
from peers.process import free_port, wait_until

# Users that every Debian has: whoever runs the tests as root makes none for them.
USERS = '[users]\ndoors = "nobody"\nkeeper = "daemon"\nworker = "mail"\nconsole = "www-data"\n'


@dataclass
class Site:
    """A running installation, and the people who use it. ``debian`` is what stands behind it, if not our own."""

    gambeson: Gambeson
    folder: Path
    people: tuple[str, ...]
    debian: Debian | None = None
    _logins: dict[str, Login] = field(default_factory=dict)

    def login(self, number: int = 0) -> Login:
        """A registered device of the n-th person, enrolled when first asked for."""
        address = self.people[number]
        if address not in self._logins:
            self._logins[address] = Login(self.gambeson, address, self.gambeson.enrol(address, "Interop"))
        return self._logins[address]

    def with_certificate(self, number: int = 0) -> Login:
        """The same with a client certificate, and no secret."""
        key = f"certificate {number}"
        if key not in self._logins:
            address = self.people[number]
            pem = enrol_certificate(self.gambeson, address, self.folder / f"certificate-{number}", "Laptop")
            self._logins[key] = Login(self.gambeson, address, "", pem)
        return self._logins[key]


@dataclass
class Debian:
    """Dovecot and Postfix. Dovecot also listens on Unix sockets (``imap_socket`` and so on) in ``folder``."""

    dovecot: Dovecot
    postfix: Postfix
    ca: Path  # the authorities of both
    pki: Pki
    folder: Path

    def accept_tokens_of(self, gambeson: Gambeson, audience: str = "gambeson") -> None:
        """Puts the installation's token key where Dovecot looks for it."""
        pem = (gambeson.data / "tls" / "token-key.pem").read_text()
        kid = ECKey.import_key(pem).thumbprint()  # RFC 7638
        folder = self.dovecot.root / "keys" / audience / "ES256"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / kid).write_text(pem)

    def pin(self, which: str) -> str:
        """The SHA-256 of the certificate of ``dovecot`` or ``postfix``."""
        path = self.dovecot.root / "server.pem"
        if which == "postfix":
            path = self.folder / "pki" / "postfix.example.org.pem"
        done = subprocess.run(
            ["openssl", "x509", "-in", str(path), "-noout", "-fingerprint", "-sha256"],
            capture_output=True, check=True, text=True,
        )  # fmt: skip
        return done.stdout.strip().partition("=")[2].replace(":", "").lower()

    def servers(self, tls: str = "imaps", **more: object) -> str:
        """A ``[[server]]`` table for these two. ``tls``: implicit, starttls, plain or unix."""
        ports, mail = self.dovecot.ports, self.postfix.ports
        match tls:
            case "implicit":
                where = {
                    "imap": f"imaps://localhost:{ports['imaps']}",
                    "pop3": f"pop3s://localhost:{ports['pop3s']}",
                    "submission": f"smtps://localhost:{mail['submissions']}",
                    "sieve": f"sieve://localhost:{ports['sieve']}",
                }
            case "starttls":
                where = {
                    "imap": f"imap://localhost:{ports['imap']}",
                    "pop3": f"pop3://localhost:{ports['pop3']}",
                    "submission": f"smtp://localhost:{mail['submission']}",
                    "sieve": f"sieve://localhost:{ports['sieve']}",
                }
            case "plain":
                where = {
                    "imap": f"imap+plain://127.0.0.1:{ports['imap']}",
                    "pop3": f"pop3+plain://127.0.0.1:{ports['pop3']}",
                    "submission": f"smtp+plain://127.0.0.1:{mail['submission']}",
                    "sieve": f"sieve+plain://127.0.0.1:{ports['sieve']}",
                }
            case _:
                where = {name: f"{name}+unix:{self.folder}/{name}" for name in ("imap", "pop3", "sieve")}
                where["submission"] = f"smtp+plain://127.0.0.1:{mail['submission']}"
        return table("server", where | more)


def table(name: str, values: dict[str, object]) -> str:
    """One TOML table of an array."""
    lines = [f"[[{name}]]"]
    for key, value in values.items():
        text = str(value).lower() if isinstance(value, bool | int) else f'"{value}"'
        lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def open_folder(prefix: str) -> Iterator[Path]:
    """A folder that servers reach which have given up root. pytest's own are closed to all others."""
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def debian(folder: Path, users: dict[str, str], domains: str = "example.org") -> Iterator[Debian]:
    """Dovecot and Postfix with everything on: tokens, a master user, SASL for Postfix, Unix sockets."""
    pki = Pki(folder / "pki")
    auth = free_port()
    extra = "auth_failure_delay = 0\nauth_username_chars =\n"
    extra += f"service auth {{\n inet_listener sasl {{\n  address = 127.0.0.1\n  port = {auth}\n }}\n}}\n"
    for service, name in (("imap", "imap"), ("pop3", "pop3"), ("managesieve", "sieve")):
        extra += f"service {service}-login {{\n unix_listener {folder}/{name} {{\n  mode = 0666\n }}\n}}\n"
    peer = Dovecot(
        users=users, masters=dict([MASTER]), token_key="put there later", token_kid="default",
        plaintext=True, extra=extra,
    )  # fmt: skip
    with peer:
        peer.ports["auth"] = auth
        certificate = pki.issue("postfix.example.org", "localhost", "127.0.0.1")
        extra = f"virtual_mailbox_domains = {domains}\n"
        postfix = Postfix(folder / "postfix", certificate, auth, peer.ports["lmtp"], extra)
        try:
            ca = folder / "both-ca.pem"
            ca.write_text(peer.ca.read_text() + pki.ca.read_text())
            yield Debian(peer, postfix, ca, pki, folder)
        finally:
            postfix.stop()


@contextlib.contextmanager
def before(
    peers: Debian, folder: Path, settings: str, people: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Site]:
    """The doors with these settings, an organisation ``example`` and its accounts with their options."""
    people = dict.fromkeys(ACCOUNTS, ()) if people is None else people
    config = (USERS if os.geteuid() == 0 else "") + settings
    with Gambeson(folder / "data", config=config) as gambeson:
        peers.accept_tokens_of(gambeson)
        where = ("--domain", "example.org", "--enrolment-url", "https://enrol.example.org/")
        gambeson.run("org", "add", "example", *where)
        for address, options in people.items():
            gambeson.run("account", "add", address, *options)
        yield Site(gambeson, folder, tuple(people), peers)


def logged(site: Site, pattern: str, which: str = "dovecot", seconds: float = 10) -> None:
    """Waits for a pattern in the peer's log. Raises with the log."""
    import re

    assert site.debian
    if which == "dovecot":
        site.debian.dovecot.wait_for_log(pattern, seconds)
    else:
        postfix = site.debian.postfix
        try:
            wait_until(lambda: bool(re.search(pattern, postfix.logged())), pattern, seconds)
        except TimeoutError:
            raise AssertionError(
                f"{pattern!r} is not in Postfix's log:\n{postfix.logged()[-3000:]}"
            ) from None
