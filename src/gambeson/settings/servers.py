"""``[[server]]``: the mail servers behind the doors, as the file names them and as the model knows them.

Endpoints are addresses with a scheme per protocol:

    imaps://host                the usual port
    imaps://host:993            TLS from the first byte
    imap://host:143             TLS by the protocol's command (STARTTLS, STLS), required
    imap+plain://127.0.0.1:143  no TLS: to this machine only, or with a written exception
    imap+unix:/run/imap.sock    a Unix socket, no TLS

and likewise pop3s/pop3, smtps/smtp and sieve (which has no scheme with implicit TLS). What cannot work, or
would hand a credential to the network, is an error here and not a surprise at the first login.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, MailServer, SignIn, UpstreamTls

from .declare import Kind, Problem, setting
from .kinds import HOST, PATH, SECRET, TEXT, TRUTH, choice, host_and_port, quoted, whole
from .secret import SecretRef

MAX_UNIX_PATH = 107  # octets; Linux's sun_path less its final zero


def endpoint_kind(
    scheme: str, door: DoorKind, implicit: bool, usual: tuple[int, int] = (0, 0)
) -> Kind[Endpoint | None]:
    """A mail server's address by scheme; ``implicit``: whether it may have TLS from the first byte. ``usual``: the port
    where none is written, with STARTTLS (or none) and with TLS from the first byte (RFC 8314 section 7; 0: say one)."""
    examples = [f"{scheme}s://HOST:PORT"] if implicit else []
    examples += [f"{scheme}://HOST:PORT", f"{scheme}+plain://127.0.0.1:PORT", f"{scheme}+unix:/PATH"]

    def read(value: Any, base: Path) -> Endpoint | None:
        if not isinstance(value, str):
            raise ValueError
        if not value:
            return None
        if value.startswith(f"{scheme}+unix:"):
            path = value.removeprefix(f"{scheme}+unix:")
            if not path.startswith("/") or len(path.encode()) > MAX_UNIX_PATH or "\0" in path:
                raise ValueError(f"must name a Unix socket by its whole path, at most {MAX_UNIX_PATH} octets")
            return Endpoint(door, unix=path, tls=UpstreamTls.NONE)
        given, _, rest = value.partition("://")
        ways = {
            f"{scheme}s": UpstreamTls.IMPLICIT,
            scheme: UpstreamTls.STARTTLS,
            f"{scheme}+plain": UpstreamTls.NONE,
        }
        if not implicit:
            del ways[f"{scheme}s"]
        if given not in ways:
            raise ValueError
        try:
            host, port = host_and_port(rest, usual[ways[given] is UpstreamTls.IMPLICIT])
        except ValueError:
            raise ValueError from None
        if port == 0:
            raise ValueError
        return Endpoint(door, host=host, port=port, tls=ways[given])

    words = "an address such as " + " or ".join(quoted(example) for example in examples)
    return Kind(words, read, lambda value: quoted("" if value is None else address_text(value, scheme)))


def address_text(endpoint: Endpoint, scheme: str) -> str:
    """The address as it stands in the file."""
    if endpoint.unix:
        return f"{scheme}+unix:{endpoint.unix}"
    way = {UpstreamTls.IMPLICIT: "s", UpstreamTls.STARTTLS: "", UpstreamTls.NONE: "+plain"}[endpoint.tls]
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{scheme}{way}://{host}:{endpoint.port}"


def _pin(value: Any, base: Path) -> str:
    text = value.replace(":", "").lower() if isinstance(value, str) else "?"
    if text and not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError
    return str(text)


PIN: Kind[str] = Kind("the SHA-256 of the server's certificate: 64 hexadecimal digits", _pin, quoted)


def loopback(endpoint: Endpoint) -> bool:
    """Whether the endpoint stays on this machine by its address alone (names are not looked up)."""
    if endpoint.unix or endpoint.host in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(endpoint.host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server that the doors lead to."""

    name: str = setting(
        "",
        TEXT,
        "The name in reports and logs.",
        "Each server needs its own.",
        example='"main"',
        required=True,
    )
    organisation: str = setting(
        "",
        TEXT,
        "The organisation it serves, by name; empty: every organisation.",
        "Most have one organisation.",
    )
    priority: int = setting(
        10,
        whole(0, 1000),
        "Lower ones are tried first; the next takes over when it fails.",
        "Room on both sides.",
    )
    imap: Endpoint | None = setting(
        None,
        endpoint_kind("imap", DoorKind.IMAP, True, (143, 993)),
        "Where it answers IMAP.",
        "No address: that door is closed.",
        example='"imaps://mail.internal.example.org:993"',
    )
    pop3: Endpoint | None = setting(
        None, endpoint_kind("pop3", DoorKind.POP3, True, (110, 995)), "Where it answers POP3.", "As for imap."
    )
    submission: Endpoint | None = setting(
        None,
        endpoint_kind("smtp", DoorKind.SUBMISSION, True, (587, 465)),
        "Where it takes mail for sending.",
        "As for imap.",
    )
    sieve: Endpoint | None = setting(
        None,
        endpoint_kind("sieve", DoorKind.SIEVE, False, (4190, 4190)),
        "Where it answers ManageSieve.",
        "As for imap.",
    )
    sign_in: SignIn = setting(
        SignIn.TOKEN,
        choice(SignIn),
        "How the doors sign in to it for a person: a short-lived token, a master user, the account's sealed "
        "password, or what the person sent (as-is: only with a client certificate, or in observe mode).",
        "A token opens one account for one minute; nothing else is as little worth stealing.",
    )
    audience: str = setting(
        "gambeson", TEXT, "The audience of the tokens (way token).", "Any word the server agrees on."
    )
    master_login: str = setting("", TEXT, "The master user's name (way master).", "Only you know it.")
    master_password: SecretRef | None = setting(
        None, SECRET, "Where the master user's password is (way master).", "Only you know it."
    )
    ca: str = setting("", PATH, "A PEM file with the authorities to trust.", "Empty: the system's.")
    pin: str = setting("", PIN, "Trust exactly this certificate.", "Empty: an authority vouches.")
    server_name: str = setting(
        "", HOST, "The name its certificate must carry.", "Empty: the host in the address."
    )
    proxy_v2: bool = setting(
        False,
        TRUTH,
        "Send a PROXY protocol version 2 header first.",
        "A server that does not expect it fails.",
    )
    trusts_us: bool = setting(
        False,
        TRUTH,
        "The server takes the client's address from us (IMAP ID, XCLIENT).",
        "It must list us first; Dovecot: login_trusted_networks, Postfix: smtpd_authorized_xclient_hosts.",
    )
    plaintext_exception: str = setting(
        "",
        TEXT,
        "Why an endpoint outside this machine may go without TLS. Shown in reports; not for token and master.",
        "Passwords do not cross a network in the clear.",
    )

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The given endpoints with the server's options."""
        return tuple(
            Endpoint(
                door=each.door,
                host=each.host,
                port=each.port,
                unix=each.unix,
                tls=each.tls,
                ca=self.ca,
                pin=self.pin,
                server_name=self.server_name,
                proxy_v2=self.proxy_v2,
                trusts_us=self.trusts_us,
            )
            for each in (self.imap, self.pop3, self.submission, self.sieve)
            if each is not None
        )

    def model(self) -> MailServer:
        """The server as the rest of the program knows it. ``organisation`` is the name from the file."""
        return MailServer(
            name=self.name,
            organisation=self.organisation,
            endpoints=self.endpoints(),
            sign_in=self.sign_in,
            priority=self.priority,
            audience=self.audience,
            master_login=self.master_login,
        )

    def check(self) -> Iterator[Problem]:
        """What cannot work, or would hand a credential to the network."""
        endpoints = self.endpoints()
        if not endpoints:
            yield Problem(
                "name", "belongs to a server without an address; give imap, pop3, submission or sieve"
            )
        yield from self._check_way()
        yield from self._check_plaintext()
        if not any(each.tls is not UpstreamTls.NONE for each in endpoints):
            for name in ("ca", "pin", "server_name"):
                if getattr(self, name):
                    yield Problem(
                        name,
                        "checks a certificate, but no address of this server uses TLS; remove one of the two",
                    )

    def _check_way(self) -> Iterator[Problem]:
        if self.sign_in is SignIn.MASTER:
            if not self.master_login:
                yield Problem("sign_in", 'is "master", which needs master_login; add it')
            if self.master_password is None:
                yield Problem("sign_in", 'is "master", which needs master_password; add a reference to it')
            return
        for name in ("master_login", "master_password"):
            if getattr(self, name):
                yield Problem(
                    name,
                    f'belongs to sign_in = "master", but sign_in is "{self.sign_in}"; remove one of the two',
                )
        if self.sign_in is SignIn.TOKEN and not self.audience:
            yield Problem(
                "audience", 'is empty, but sign_in = "token" needs the word the server expects; add it'
            )

    def _check_plaintext(self) -> Iterator[Problem]:
        for name in ("imap", "pop3", "submission", "sieve"):
            each: Endpoint | None = getattr(self, name)
            if each is None or each.tls is not UpstreamTls.NONE or loopback(each):
                continue
            if self.sign_in in (SignIn.TOKEN, SignIn.MASTER):
                yield Problem(
                    name,
                    f'leaves this machine without TLS, which sign_in = "{self.sign_in}" never may; use TLS',
                )
            elif not self.plaintext_exception.strip():
                yield Problem(
                    name, "leaves this machine without TLS; use TLS, or say why not in plaintext_exception"
                )
