"""Golden scripts of the IMAP dialogues: ``imap/NAME.in`` is what happens, ``imap/NAME.ref`` that with our answers.

First line: ``door`` (we are the server) or ``behind`` (we sign in), with options. Then, a line each:
``> TEXT`` the peer sends this line; ``event NAME ARGUMENTS`` the edge reports something. Our answers are
the lines that begin with ``<`` or ``!``. To write a new .ref: ``GOLDEN=write pytest tests/golden``.
"""

import os
from pathlib import Path

import pytest

from gambeson.wire.dialogue import Command, Origin, Ready, Refusal, Send, UpstreamCredential
from gambeson.wire.imap_client import ImapClient
from gambeson.wire.imap_server import ImapServer

SCRIPTS = sorted((Path(__file__).parent / "imap").glob("*.in"))


def dialogue(line: str) -> ImapServer | ImapClient:
    kind, *options = line.split()
    if kind == "door":
        flags = dict.fromkeys(options, True)
        return ImapServer(hostname="mail.example.org", **flags)
    mechanism, name, secret, *flags = options
    return ImapClient(
        credential=UpstreamCredential(mechanism, name, secret),
        origin=Origin("203.0.113.9", 40000, "s-1", "d42"),
        starttls="starttls" in flags,
        trusted="trusted" in flags,
    )


def happens(d: ImapServer | ImapClient, line: str) -> list[Command]:
    if line.startswith(">"):
        return d.receive(line[2:].encode() + b"\r\n")
    _, name, *rest = line.split(" ", 2)
    text = " ".join(rest)
    match name:
        case "accepted":
            capabilities, _, said = text.partition(" / ")
            return d.accepted(Ready(tuple(capabilities.encode().split()), said.encode()))
        case "refused" | "refused-alert" | "refused-later":
            return d.refused(Refusal(text, alert=name.endswith("alert"), temporary=name.endswith("later")))
        case "shut_down":
            return d.shut_down(text)
        case "certificate":
            d.external = True
            return []
    return d.tls_started()


def shown(commands: list[Command]) -> list[str]:
    out = []
    for command in commands:
        if isinstance(command, Send):
            out += ["< " + line for line in command.data.decode().removesuffix("\r\n").split("\r\n")]
        else:
            out.append(f"! {command}")
    return out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_golden(script: Path) -> None:
    head, *lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    d = dialogue(head)
    transcript = [head, *shown(d.start())]
    for line in lines:
        transcript += [line, *shown(happens(d, line))]
    text = "\n".join(transcript) + "\n"
    reference = script.with_suffix(".ref")
    if os.environ.get("GOLDEN") == "write":
        reference.write_text(text)
    assert text == reference.read_text()


def test_there_are_scripts() -> None:
    assert SCRIPTS
