"""Golden scripts of the submission door: ``smtp/NAME.in`` is what happens, ``smtp/NAME.ref`` that with our answers.

First line: ``door`` (before login), ``behind`` (we sign in at the mail server) or ``relay`` (after login), with
options. Then, a line each: ``C: TEXT`` the client and ``S: TEXT`` the mail server send this line (``\\r``, ``\\n`` and
``\\0`` in it are those octets; ``C:: TEXT`` without a line's end); ``event NAME TEXT`` the edge reports something. Our
answers are the lines that begin with ``<`` (to the client), ``>`` (to the mail server) or ``!``.
To write a new .ref: ``GOLDEN=write pytest tests/golden``.
"""

import os
from pathlib import Path

import pytest

from gambeson.wire.dialogue import Origin, Ready, Refusal, Send, ToClient, ToServer, UpstreamCredential
from gambeson.wire.smtp_client import SmtpClient
from gambeson.wire.smtp_relay import SenderPolicy, SmtpRelay
from gambeson.wire.smtp_server import SmtpServer

SCRIPTS = sorted((Path(__file__).parent / "smtp").glob("*.in"))
EXTENSIONS = (b"PIPELINING", b"SIZE 5000", b"8BITMIME", b"SMTPUTF8", b"DSN", b"CHUNKING")


def dialogue(line: str):
    kind, *options = line.split()
    if kind == "door":
        return SmtpServer(hostname="mail.example.org", **dict.fromkeys(options, True))
    if kind == "relay":
        check = options[0] if options else "both"
        senders = SenderPolicy(frozenset({"alice@example.org", "a.smith@example.org"}), check)
        extensions = () if "bare" in options else EXTENSIONS
        return SmtpRelay(hostname="mail.example.org", server_extensions=extensions, senders=senders)
    mechanism, name, secret, *flags = options
    return SmtpClient(
        credential=UpstreamCredential("" if mechanism == "none" else mechanism, name, secret),
        origin=Origin("203.0.113.9", 40000, "s-1", "d42", "alice@example.org", "laptop"),
        starttls="starttls" in flags,
        trusted="trusted" in flags,
        hostname="mail.example.org",
    )


def octets(text: str) -> bytes:
    for written, meant in ((r"\r", "\r"), (r"\n", "\n"), (r"\0", "\0")):
        text = text.replace(written, meant)
    return text.encode()


def happens(d, line: str):
    who, _, text = line.partition(" ")
    data = octets(text) + (b"" if who.endswith("::") else b"\r\n")
    if who.startswith(("C:", "S:")):
        if isinstance(d, SmtpRelay):
            return d.from_client(data) if who.startswith("C") else d.from_server(data)
        return d.receive(data)
    name, _, text = text.partition(" ")
    match name:
        case "accepted":
            return d.accepted(Ready())
        case "refused" | "refused-later":
            return d.refused(Refusal(text, temporary=name.endswith("later")))
        case "shut_down" | "quota_refused":
            return getattr(d, name)(text)
    return getattr(d, name)()


def shown(commands) -> list[str]:
    out = []
    for command in commands:
        if isinstance(command, Send | ToClient | ToServer):
            sign = ">" if isinstance(command, ToServer) else "<"
            lines = command.data.decode().removesuffix("\r\n").split("\r\n")
            out += [f"{sign} {line}".rstrip() for line in lines]
        else:
            out.append(f"! {command}")
    return out


def played(script: str) -> str:
    d = None
    out = []
    for line in script.splitlines():
        out.append(line)
        if not line or line.startswith("#"):
            continue
        if d is None:
            d = dialogue(line)
            out += shown(d.start()) if not isinstance(d, SmtpRelay) else []
        else:
            out += shown(happens(d, line))
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script):
    got = played(script.read_text())
    reference = script.with_suffix(".ref")
    if os.environ.get("GOLDEN") == "write":
        reference.write_text(got)
    assert got == reference.read_text()


def test_there_are_scripts():
    assert len(SCRIPTS) >= 8
