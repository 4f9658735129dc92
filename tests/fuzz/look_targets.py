"""What fuzzing asks of a look: its dialogues with mail servers, NTLM challenges, what software says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fuzz.pieces import pieces
from gambeson.assess.core.checks.webmail_login import asks_password
from gambeson.assess.core.doors import DoorFacts, Offer, PortState, Protocol
from gambeson.assess.core.fingerprints import EXCERPT, observe
from gambeson.assess.core.pages import there
from gambeson.assess.core.web import Page
from gambeson.assess.edge.reference import reference
from gambeson.wire.dialogue import Command, StartTls
from gambeson.wire.ntlm import MAX_NAME, NtlmError, parse_challenge
from gambeson.wire.probe import MAX_CAPABILITIES, MAX_NOTES, MAX_PAIRS, Aim, Probe
from gambeson.wire.probe_imap import ImapProbe
from gambeson.wire.probe_pop3 import Pop3Probe
from gambeson.wire.probe_sieve import SieveProbe
from gambeson.wire.probe_smtp import SmtpProbe

_PRINTS = reference().fingerprints


def _dialogue(made: type[Probe[Any]]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        if not data:
            return
        probe = made(list(Aim)[data[0] % len(Aim)], implicit=bool(data[0] & 0x80))
        commands: list[Command] = probe.start()
        for piece in pieces(data[1:]):
            if any(isinstance(command, StartTls) for command in commands):
                assert probe.receive(piece) == []  # what comes before the handshake counts for nothing
                commands = probe.tls_started()
            else:
                commands = probe.receive(piece)
        probe.closed()
        seen = probe.seen
        assert len(seen.notes) <= MAX_NOTES
        assert len(seen.identity) <= MAX_PAIRS
        for offer in (seen.plain, seen.secured):
            assert offer is None or len(offer.capabilities) <= MAX_CAPABILITIES
        if probe.over:
            assert probe.receive(data) == []

    return run


def ntlm(data: bytes) -> None:
    """A challenge or one declared error; names are fit to be shown."""
    try:
        found = parse_challenge(data)
    except NtlmError:
        return
    for name in (found.netbios_domain, found.netbios_computer, found.dns_domain, found.dns_computer):
        assert len(name) <= MAX_NAME
        assert not name or name.isprintable()


def software(data: bytes) -> None:
    """Whatever is said, what is made of it is bounded and printable, and a version says no more than it shows."""
    text = data.decode("latin-1")
    doors = [
        DoorFacts("m", "192.0.2.1", 1, protocol, PortState.OPEN, banner=text, plain=Offer((text,)))
        for protocol in (Protocol.SMTP, Protocol.IMAP)
    ]
    headers = (("x-owa-version", text), ("set-cookie", text), ("server", text))
    page = Page("owa", "https://m/owa/", "192.0.2.1", status=200, headers=headers, body=data)
    for seen in observe(doors, [page], _PRINTS):
        assert len(seen.evidence) <= EXCERPT
        assert seen.evidence.isprintable()
        assert not seen.low or seen.low.replace(".", "").isdigit()
    asks_password(page)
    assert not there(page, page)


LOOK_TARGETS: dict[str, Callable[[bytes], None]] = {
    "probe-smtp": _dialogue(SmtpProbe),
    "probe-imap": _dialogue(ImapProbe),
    "probe-pop3": _dialogue(Pop3Probe),
    "probe-sieve": _dialogue(SieveProbe),
    "ntlm": ntlm,
    "software": software,
}
