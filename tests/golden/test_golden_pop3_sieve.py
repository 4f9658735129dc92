"""Golden scripts of the POP3 and ManageSieve dialogues, in ``pop3/`` and ``sieve/``.

A script is the transcript of one session. ``S:`` and ``C:`` are lines of server and client; ``>`` is what
the edge tells the dialogue and ``*`` what the dialogue tells the edge. The player feeds the peer's lines
and the ``>`` lines; the whole transcript must come out as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from gambeson.wire.dialogue import (
    Authenticate,
    Close,
    Command,
    Failed,
    Origin,
    Ready,
    Refusal,
    Send,
    StartTls,
    UpstreamCredential,
)
from gambeson.wire.pop3_client import Pop3Client
from gambeson.wire.pop3_server import Pop3Server
from gambeson.wire.sieve_client import SieveClient
from gambeson.wire.sieve_server import SieveServer

HERE = Path(__file__).parent
SCRIPTS = sorted([*(HERE / "pop3").glob("*.txt"), *(HERE / "sieve").glob("*.txt")])


def options(script: str) -> list[str]:
    return script.splitlines()[0].removeprefix("# dialogue: ").split()


def make(path: Path, script: str) -> Any:
    role, *words = options(script)
    sieve = path.parent.name == "sieve"
    if role == "server":
        flags = {name: name in words for name in ("starttls", "tls", "external")}
        if sieve:
            return SieveServer(hostname="mail.example", **flags, sieve_extensions="fileinto vacation")
        return Pop3Server(hostname="mail.example", **flags)
    master = "master" in words
    credential = UpstreamCredential(words[0], "master" if master else "anna", "pw", "anna" if master else "")
    origin = Origin("203.0.113.7", 4711, "s1", "phone")
    return (SieveClient if sieve else Pop3Client)(
        credential=credential, origin=origin, starttls="starttls" in words, trusted="trusted" in words
    )


def render(commands: Iterable[Command], us: str) -> list[str]:
    lines: list[str] = []
    for command in commands:
        match command:
            case Send(data):
                assert data.endswith(b"\r\n")
                lines += [f"{us}: {line}" for line in data.decode()[:-2].split("\r\n")]
            case StartTls():
                lines.append("* starttls")
            case Authenticate(login):
                lines.append(
                    f"* authenticate {login.mechanism} {login.username!r} {login.password!r} {login.authzid!r}"
                )
            case Close(reason):
                lines.append(f"* close {reason}")
            case Ready(capabilities, text, leftover):
                assert leftover == b""
                lines.append(" ".join(["* ready", text.decode(), *(f"[{c.decode()}]" for c in capabilities)]))
            case Failed(kind, text):
                lines.append(f"* failed {kind}: {text}")
            case _:
                raise AssertionError(command)
    return lines


def play(script: str, dialogue: Any, cut: Callable[[bytes], Iterable[bytes]] = lambda data: [data]) -> str:
    """The transcript that this dialogue makes of the script's inputs."""
    us, peer = ("S", "C") if options(script)[0] == "server" else ("C", "S")
    transcript = [script.splitlines()[0], *render(dialogue.start(), us)]
    for line in script.splitlines()[1:]:
        who, _, said = line.partition(" ")
        if who == f"{peer}:":
            transcript.append(line)
            for chunk in cut(said.encode() + b"\r\n"):
                transcript += render(dialogue.receive(chunk), us)
        elif who == ">":
            transcript += [line, *render(_tell(dialogue, said), us)]
    return "\n".join(transcript) + "\n"


def _tell(dialogue: Any, said: str) -> list[Command]:
    what, _, text = said.partition(" ")
    if what == "tls":
        return dialogue.tls_started()
    if what == "accept":
        return dialogue.accepted(Ready(text=text.encode()))
    if what == "shut-down":
        return dialogue.shut_down(text)
    return dialogue.refused(Refusal(text, temporary=what == "refuse-temporary"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_golden(path: Path) -> None:
    script = path.read_text()
    assert play(script, make(path, script)) == script


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_golden_octet_by_octet(path: Path) -> None:
    script = path.read_text()
    whole = play(script, make(path, script), lambda data: [bytes([octet]) for octet in data])
    assert whole == script


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 12
