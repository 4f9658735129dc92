"""Mail programs that nobody here wrote, pointed at the doors the way a person would set them up.

A ``Login`` says which installation, which name, which secret and, where it has one, which client certificate.
Every program checks the doors' certificate against the installation's own authority.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import re
import smtplib
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from . import program
from .gambeson import Gambeson

PATIENCE = 60


@dataclass(frozen=True)
class Login:
    """How one mail program signs in. ``certificate`` is a PEM file with certificate and key."""

    gambeson: Gambeson
    name: str
    secret: str
    certificate: Path | None = None

    def port(self, listener: str) -> int:
        return self.gambeson.port(listener)

    @property
    def tls(self) -> ssl.SSLContext:
        context = self.gambeson.tls
        if self.certificate:
            context.load_cert_chain(self.certificate)
        return context

    def with_secret(self, secret: str) -> Login:
        return replace(self, secret=secret)


def message(to: str, sender: str, text: str = "Hello there.", subject: str = "") -> tuple[str, str]:
    """A message with CRLF, and its subject, which no other has."""
    subject = subject or f"test-{uuid.uuid4().hex[:12]}"
    head = {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": "Tue, 24 Nov 2026 08:00:00 +0000",
        "Message-ID": f"<{uuid.uuid4().hex}@test.example>",
    }
    return "".join(f"{k}: {v}\r\n" for k, v in head.items()) + f"\r\n{text}\r\n", subject


def imap(login: Login, *, starttls: bool = False, timeout: float = 30) -> imaplib.IMAP4:
    """imaplib, connected under TLS, not signed in."""
    if not starttls:
        return imaplib.IMAP4_SSL("127.0.0.1", login.port("imaps"), ssl_context=login.tls, timeout=timeout)
    client = imaplib.IMAP4("127.0.0.1", login.port("imap"), timeout=timeout)
    client.starttls(login.tls)
    return client


@contextlib.contextmanager
def mailbox(login: Login, folder: str = "INBOX", *, starttls: bool = False) -> Iterator[imaplib.IMAP4]:
    """imaplib, signed in, with a folder selected."""
    client = imap(login, starttls=starttls)
    try:
        client.login(login.name, login.secret)
        code, data = client.select(folder)
        assert code == "OK", data
        yield client
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            client.logout()


def fetched(client: imaplib.IMAP4, number: str, what: str) -> bytes:
    """One part of a message; servers may tell flags beside it."""
    return next(part[1] for part in client.fetch(number, f"({what})")[1] if isinstance(part, tuple))


def found(login: Login, subject: str, seconds: float = 15) -> bytes:
    """The message with this subject as it lies in the mailbox; waits for it. Raises AssertionError."""
    end = time.monotonic() + seconds
    with mailbox(login) as client:
        while True:
            numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if numbers:
                return fetched(client, numbers[-1].decode(), "BODY.PEEK[]")
            assert time.monotonic() < end, f"no message {subject!r} came within {seconds} s"
            time.sleep(0.1)
            client.noop()


def pop3(login: Login, *, starttls: bool = False) -> poplib.POP3:
    """poplib, connected under TLS, not signed in."""
    if not starttls:
        return poplib.POP3_SSL("127.0.0.1", login.port("pop3s"), context=login.tls, timeout=30)
    client = poplib.POP3("127.0.0.1", login.port("pop3"), timeout=30)
    client.stls(login.tls)
    return client


def smtp(login: Login, *, starttls: bool = False) -> smtplib.SMTP:
    """smtplib, connected under TLS, not signed in."""
    if not starttls:
        return smtplib.SMTP_SSL("localhost", login.port("submissions"), context=login.tls, timeout=30)
    client = smtplib.SMTP("localhost", login.port("submission"), timeout=30)
    client.starttls(context=login.tls)
    return client


def run(
    command: list[str],
    *,
    stdin: str | bytes = "",
    env: dict[str, str] | None = None,
    timeout: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Runs a program; its output as text with undecodable octets replaced."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        command, input=data, capture_output=True, timeout=timeout, env={**os.environ, **(env or {})}
    )
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


_CURL = {"imap": "imap", "imaps": "imaps", "pop3": "pop3", "pop3s": "pop3s"}
_CURL |= {"submission": "smtp", "submissions": "smtps"}


def curl(
    login: Login, listener: str, *more: str, path: str = "", stdin: str | bytes = "", password: bool = True
) -> subprocess.CompletedProcess[str]:
    """curl at a listener, with TLS required."""
    command = [program("curl"), "-sS", "-v", "--ssl-reqd", "--cacert", login.gambeson.ca, "--max-time", "50"]
    if login.certificate:
        command += ["--cert", str(login.certificate)]
    command += ["--user", f"{login.name}:{login.secret if password else ''}"]
    url = f"{_CURL[listener]}://localhost:{login.port(listener)}/{path}"
    return run([*command, *more, url], stdin=stdin)


def msmtp(
    login: Login, folder: Path, content: str, *to: str, starttls: bool = False, auth: str = "on"
) -> subprocess.CompletedProcess[str]:
    """msmtp, sending ``content``."""
    settings = folder / f"msmtp-{uuid.uuid4().hex[:8]}"
    listener = "submission" if starttls else "submissions"
    certificate = (
        f"tls_cert_file {login.certificate}\ntls_key_file {login.certificate}\n" if login.certificate else ""
    )
    settings.write_text(
        f"account default\nhost localhost\nport {login.port(listener)}\nfrom {login.name}\n"
        f"auth {auth}\nuser {login.name}\npassword {login.secret}\n"
        f"tls on\ntls_starttls {'on' if starttls else 'off'}\ntls_trust_file {login.gambeson.ca}\n{certificate}"
    )
    settings.chmod(0o600)
    return run([program("msmtp"), "-C", str(settings), *to], stdin=content)


def mbsync(login: Login, folder: Path, *, starttls: bool = False) -> subprocess.CompletedProcess[str]:
    """One run of mbsync between the INBOX and the Maildir ``folder``/inbox."""
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    settings = folder / "mbsyncrc"
    settings.write_text(
        f"IMAPAccount door\nHost localhost\nPort {login.port('imap' if starttls else 'imaps')}\n"
        f'User "{login.name}"\nPass "{login.secret}"\n'
        f"SSLType {'STARTTLS' if starttls else 'IMAPS'}\nSystemCertificates no\n"
        f"CertificateFile {login.gambeson.ca}\n\n"
        "IMAPStore far\nAccount door\n\n"
        f"MaildirStore near\nPath {folder}/\nInbox {folder}/inbox\n\n"
        "Channel all\nFar :far:\nNear :near:\nPattern INBOX\nSync All\nCreate Near\nExpunge Both\nSyncState *\n"
    )
    settings.chmod(0o600)
    return run([program("mbsync"), "-V", "-c", str(settings), "all"], env={"HOME": str(folder)})


def swaks(login: Login, to: str, *more: str, starttls: bool = False) -> subprocess.CompletedProcess[str]:
    """swaks, sending its test message."""
    listener = "submission" if starttls else "submissions"
    command = [program("swaks"), "--server", "localhost", "--port", str(login.port(listener))]
    command += [
        "--tls" if starttls else "--tls-on-connect",
        "--tls-verify",
        "--tls-ca-path",
        login.gambeson.ca,
    ]
    if login.certificate:
        command += ["--tls-cert", str(login.certificate), "--tls-key", str(login.certificate)]
    command += ["--from", login.name, "--to", to, "--timeout", "20"]
    if "--auth" not in more:
        command += ["--auth", "PLAIN"]
    return run([*command, "--auth-user", login.name, "--auth-password", login.secret, *more])


def sieve_connect(login: Login, folder: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """Debian's sieve-connect, executing ``commands`` (a line each)."""
    script = folder / f"sieve-{uuid.uuid4().hex[:8]}"
    script.write_text(commands)
    command = [program("sieve-connect"), "--server", "localhost", "--port", str(login.port("sieve"))]
    command += ["--user", login.name, "--passwordfd", "0", "--tlscafile", login.gambeson.ca, "--nosslverify"]
    return run([*command, "--exec", str(script)], stdin=login.secret + "\n")


def s_client(login: Login, listener: str, *lines: str, starttls: str = "", quiet: float = 0.4) -> str:
    """What openssl s_client prints for lines typed into it, each after the answer to the last had time to come."""
    command = [program("openssl"), "s_client", "-connect", f"localhost:{login.port(listener)}", "-quiet"]
    command += [
        "-CAfile",
        login.gambeson.ca,
        "-verify_return_error",
        "-verify_hostname",
        "localhost",
        "-crlf",
    ]
    if starttls:
        command += ["-starttls", starttls]
    if login.certificate:
        command += ["-cert", str(login.certificate), "-key", str(login.certificate)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdin
    with contextlib.suppress(BrokenPipeError):
        for line in lines:
            time.sleep(quiet)
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
    try:
        return process.communicate(timeout=PATIENCE)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0].decode(errors="replace")


class Neomutt:
    """neomutt in a terminal (tmux) of its own; keys go in, the screen comes out."""

    def __init__(self, login: Login, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for each in ("cache", "tmp"):
            (folder / each).mkdir(exist_ok=True)
        editor = folder / "editor"
        editor.write_text("#!/bin/sh\nprintf '\\nWritten in neomutt.\\n' >>\"$1\"\n")
        editor.chmod(0o755)
        certificate = f'set ssl_client_cert = "{login.certificate}"\n' if login.certificate else ""
        settings = folder / "neomuttrc"
        settings.write_text(
            f'set ssl_ca_certificates_file = "{login.gambeson.ca}"\n'
            f"set ssl_force_tls = yes\n{certificate}"
            f'set imap_user = "{login.name}"\nset imap_pass = "{login.secret}"\n'
            f'set folder = "imaps://localhost:{login.port("imaps")}/"\nset spoolfile = "+INBOX"\n'
            f'set smtp_url = "smtps://{login.name.replace("@", "%40")}@localhost:{login.port("submissions")}/"\n'
            f'set smtp_pass = "{login.secret}"\nset smtp_authenticators = "plain"\n'
            f'set from = "{login.name}"\nset use_from = yes\nset realname = "Mutt"\n'
            f'set editor = "{editor}"\nset tmpdir = "{folder}/tmp"\nset copy = no\nset sort = reverse-date-received\n'
            "set pager_stop = yes\nset wait_key = no\nset abort_unmodified = no\nset fast_reply = yes\n"
            'set certificate_file = ""\nset header_cache = ""\nset mail_check = 1\nset beep = no\n'
            "set autoedit = yes\nset edit_headers = no\nset confirmappend = no\n"
        )
        settings.chmod(0o600)
        self._socket = f"gmb-{uuid.uuid4().hex[:10]}"
        environ = {**os.environ, "HOME": str(folder), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        environ.pop("TMUX", None)
        new = ["new-session", "-d", "-x", "110", "-y", "40", program("neomutt"), "-n", "-F", str(settings)]
        subprocess.run(
            [program("tmux"), "-L", self._socket, "-f", "/dev/null", *new],
            check=True,
            env=environ,
            timeout=20,
        )

    def __enter__(self) -> Neomutt:
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def _tmux(self, *words: str) -> str:
        done = subprocess.run([program("tmux"), "-L", self._socket, *words], capture_output=True, timeout=20)
        return done.stdout.decode(errors="replace")

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        """Types keys: names such as Enter, or text."""
        for key in keys:
            self._tmux("send-keys", key)

    def type(self, text: str) -> None:
        """Types text as it is."""
        self._tmux("send-keys", "-l", text)

    def see(self, pattern: str, seconds: float = 20) -> str:
        """Waits until the screen shows the pattern; the screen. Raises AssertionError with what it shows."""
        end = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if re.search(pattern, screen):
                return screen
            assert time.monotonic() < end, f"{pattern!r} is not on the screen:\n{screen}"
            time.sleep(0.1)


def maildir_messages(folder: Path) -> list[bytes]:
    """All messages of a Maildir."""
    return [path.read_bytes() for sub in ("new", "cur") for path in sorted((folder / sub).glob("*"))]


def enrol_certificate(gambeson: Gambeson, address: str, folder: Path, name: str = "Laptop") -> Path:
    """Registers a device with a client certificate; the PEM file with certificate and key."""
    folder.mkdir(parents=True, exist_ok=True)
    given = gambeson.json(
        "device", "enrol", address, "--name", name, "--doors", "imap,pop3,submission,sieve",
        "--certificate", "--out", str(folder),
    )  # fmt: skip
    return Path(given["certificate"]["files"]["pem"])
