"""Debian's Dovecot 2.3 as a private instance: its own folder, loopback ports, users, keys and certificate.

It touches nothing of the machine's own Dovecot. It runs as root (then mail belongs to ``nobody``) and as any
user. It is stopped by its own process id. Nothing is installed here: :func:`missing` says why not to try.

What it has: users and master users from files; the oauth2 passdb validating ES256 tokens with a public key
from a file; IMAP, POP3, ManageSieve, submission (relaying to ``relay``) and LMTP, the first three with and
without TLS from the first byte.
"""

from __future__ import annotations

import datetime
import grp
import ipaddress
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .process import free_port

LISTENERS = ("imap", "imaps", "pop3", "pop3s", "sieve", "submission", "lmtp")
_SERVICES = {"imap-login", "pop3-login", "managesieve-login", "submission-login", "lmtp"}


def program() -> str | None:
    """Where Dovecot is; /usr/sbin is not on every PATH."""
    return shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def missing() -> str:
    """Why Dovecot cannot be run here, in one sentence; empty when it can."""
    if program() is None:
        return "Dovecot is not installed (./dev test installs it where it may)"
    for protocol in ("imap-login", "pop3-login", "managesieve-login", "submission-login", "lmtp"):
        if not Path("/usr/lib/dovecot", protocol).exists():
            return f"Dovecot has no {protocol} (./dev test installs it where it may)"
    return ""


class Dovecot:
    """One instance, running between ``with`` and its end.

    ``users`` and ``masters``: name to password. ``token_key``: PEM of the public key that signs tokens, found
    by tokens that say neither azp nor kid, and by those that say the audience and ``token_kid``; ``issuer``
    and ``audience`` are what they must say. ``trusted``: networks that may tell whom they speak for.
    ``relay``: where the submission service relays to. ``plaintext``: sign in without TLS too. ``extra`` is
    put behind the configuration as it is.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str],
        masters: Mapping[str, str] | None = None,
        token_key: str = "",
        token_kid: str = "",
        issuer: str = "gambeson",
        audience: str = "gambeson",
        trusted: str = "127.0.0.0/8",
        relay: tuple[str, int] = ("127.0.0.1", 9),
        plaintext: bool = False,
        extra: str = "",
    ) -> None:
        # A short path: base_dir holds Unix sockets, whose names have 108 octets at most.
        self.root = Path(tempfile.mkdtemp(prefix="gdc-", dir="/tmp"))
        self.root.chmod(0o755)
        self.ports = {name: free_port() for name in LISTENERS}
        self.ca = self.root / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.root / "dovecot.log"
        _write_certificate(self.root)
        self._write_users(users, masters or {})
        if token_key:
            self._write_oauth2(token_key, token_kid, issuer, audience)
        (self.root / "dovecot.conf").write_text(
            self._config(bool(token_key), trusted, relay, plaintext) + extra
        )

    def __enter__(self) -> Dovecot:
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.root, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def start(self, patience: float = 60.0) -> None:
        """Starts it and waits until every listener answers. Raises RuntimeError with its log."""
        command = [program() or "dovecot", "-F", "-c", str(self.root / "dovecot.conf")]
        with (self.root / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        until = time.monotonic() + patience
        for port in self.ports.values():
            while not _answers(port):
                if self._process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise RuntimeError(
                        f"Dovecot did not start: {(self.root / 'stderr').read_text()}{self.log()}"
                    )
                time.sleep(0.05)

    def stop(self) -> None:
        """Stops it and waits for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def log(self) -> str:
        """All it has logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def wait_for_log(self, pattern: str, patience: float = 30.0) -> re.Match[str]:
        """The first match of the pattern in the log. Raises AssertionError with the log's end."""
        until = time.monotonic() + patience
        while True:
            if found := re.search(pattern, self.log()):
                return found
            if time.monotonic() > until:
                raise AssertionError(f"{pattern!r} is not in Dovecot's log:\n{self.log()[-4000:]}")
            time.sleep(0.05)

    def deliver(self, recipient: str, message: bytes) -> None:
        """Puts a message into a mailbox, by LMTP."""
        import smtplib

        with smtplib.LMTP("127.0.0.1", self.ports["lmtp"]) as lmtp:
            lmtp.sendmail("sender@example.net", [recipient], message)

    def _write_users(self, users: Mapping[str, str], masters: Mapping[str, str]) -> None:
        for name, people in (("users", users), ("masters", masters)):
            text = "".join(f"{user}:{{PLAIN}}{password}\n" for user, password in people.items())
            (self.root / name).write_text(text)
        mail = self.root / "mail"
        mail.mkdir()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(mail, nobody.pw_uid, nobody.pw_gid)

    def _write_oauth2(self, token_key: str, token_kid: str, issuer: str, audience: str) -> None:
        # The key is looked up as AZP/ALG/KID, azp and kid being "default" where the token does not say.
        for azp, kid in {("default", "default"), (audience, token_kid or "default")}:
            folder = self.root / "keys" / azp / "ES256"
            folder.mkdir(parents=True)
            (folder / kid).write_text(token_key)
        (self.root / "oauth2.conf").write_text(
            "introspection_mode = local\n"
            f"local_validation_key_dict = fs:posix:prefix={self.root}/keys/\n"
            f"issuers = {issuer}\n"
            f"client_id = {audience}\n"  # a token whose aud lacks it is refused
            "username_attribute = sub\n"
        )

    def _config(self, tokens: bool, trusted: str, relay: tuple[str, int], plaintext: bool) -> str:
        root, ports = self.root, self.ports
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            accounts = ""
        else:
            owner = pwd.getpwuid(os.geteuid())
            group = grp.getgrgid(os.getegid()).gr_name
            accounts = (
                f"default_internal_user = {owner.pw_name}\ndefault_login_user = {owner.pw_name}\n"
                f"default_internal_group = {group}\n"
            )
        services = "".join(
            f"service {name} {{\n  chroot =\n{_listeners(name, ports)}}}\n" for name in sorted(_SERVICES)
        )
        # No "mechanisms" on the token passdb: in 2.3 it would be skipped for the bearer mechanisms too.
        token_passdb = f"passdb {{\n  driver = oauth2\n  args = {root}/oauth2.conf\n}}\n" if tokens else ""
        return f"""
base_dir = {root}/run
state_dir = {root}/state
log_path = {self._log}
{accounts}protocols = imap pop3 sieve lmtp submission
listen = 127.0.0.1
login_trusted_networks = {trusted}
disable_plaintext_auth = {"no" if plaintext else "yes"}
ssl = yes
ssl_cert = <{root}/server.pem
ssl_key = <{root}/server.key
ssl_dh =
auth_verbose = yes
auth_mechanisms = plain login external oauthbearer xoauth2
auth_master_user_separator = *
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {owner.pw_uid}
mail_gid = {owner.pw_gid}
mail_location = maildir:{root}/mail/%u
mail_home = {root}/mail/%u/home
submission_relay_host = {relay[0]}
submission_relay_port = {relay[1]}
submission_relay_trusted = yes
hostname = localhost
{token_passdb}passdb {{
  driver = passwd-file
  args = {root}/masters
  master = yes
}}
passdb {{
  driver = passwd-file
  args = {root}/users
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={root}/mail/%u/home allow_all_users=yes
}}
service anvil {{
  chroot =
}}
{services}"""


def _listeners(service: str, ports: Mapping[str, int]) -> str:
    block = "  inet_listener {} {{\n    port = {}\n{}  }}\n"
    match service:
        case "imap-login":
            return block.format("imap", ports["imap"], "") + block.format(
                "imaps", ports["imaps"], "    ssl = yes\n"
            )
        case "pop3-login":
            return block.format("pop3", ports["pop3"], "") + block.format(
                "pop3s", ports["pop3s"], "    ssl = yes\n"
            )
        case "managesieve-login":
            return block.format("sieve", ports["sieve"], "")
        case "submission-login":
            return block.format("submission", ports["submission"], "") + block.format("submissions", 0, "")
        case _:
            return block.format("lmtp", ports["lmtp"], "")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _write_certificate(folder: Path) -> None:
    """ca.pem, and server.pem with server.key for localhost and 127.0.0.1."""
    now = datetime.datetime.now(datetime.UTC)

    def certify(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name.from_rfc4514_string(f"CN={name}"))
            .issuer_name(x509.Name.from_rfc4514_string(f"CN={issuer}"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = certify("Test CA", ca_key, "Test CA", True).sign(ca_key, hashes.SHA256())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = certify("localhost", key, "Test CA", False)
    server = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(
        ca_key, hashes.SHA256()
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(private)
    (folder / "server.key").chmod(0o600)
