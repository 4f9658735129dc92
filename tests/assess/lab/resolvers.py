"""Resolvers that misbehave: they hand questions on to Knot, and answer some of them as no resolver should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import dns.flags
import dns.message
import dns.rcode

# What becomes of Knot's answer to a question (its name without the final dot and its type), over UDP or TCP; None: no
# answer at all.
Twist = Callable[[str, str, bytes, bool], bytes | None]
Whose = Callable[[str, str], bool]


def only(kind: str, label: str = "") -> Whose:
    """Questions of this type whose name begins with ``label``."""
    return lambda name, asked: asked == kind and name.startswith(label)


def every(name: str, kind: str) -> bool:
    """All questions."""
    return True


def fails(whose: Whose, code: str = "SERVFAIL") -> Twist:
    """Says ``code`` to them."""

    def twist(name: str, kind: str, octets: bytes, tcp: bool) -> bytes | None:
        if not whose(name, kind):
            return octets
        made = dns.message.from_wire(octets)
        for section in (made.answer, made.authority, made.additional):
            section.clear()
        made.set_rcode(dns.rcode.from_text(code))
        return made.to_wire()

    return twist


def silent(whose: Whose) -> Twist:
    """Answers them never."""
    return lambda name, kind, octets, tcp: None if whose(name, kind) else octets


def cut(*, tcp_works: bool) -> Twist:
    """Says of every longer answer that it was cut, so that it is asked again over TCP."""

    def twist(name: str, kind: str, octets: bytes, tcp: bool) -> bytes | None:
        if tcp:
            return octets if tcp_works else None
        made = dns.message.from_wire(octets)
        if kind != "TXT" or name.startswith("_"):
            return octets
        for section in (made.answer, made.authority, made.additional):
            section.clear()
        made.flags |= dns.flags.TC
        return made.to_wire()

    return twist


def garbage(whose: Whose) -> Twist:
    """Sends octets that are no message, with the right id."""
    return lambda name, kind, octets, tcp: octets[:2] + b"\xff" * 40 if whose(name, kind) else octets


def other_id(whose: Whose) -> Twist:
    """Answers with the id of another question, as one does who guesses."""

    def twist(name: str, kind: str, octets: bytes, tcp: bool) -> bytes | None:
        return bytes([octets[0] ^ 0x55]) + octets[1:] if whose(name, kind) else octets

    return twist


def handed_on(twist: Twist, server: tuple[str, int]) -> Callable[[bytes, bool], Awaitable[bytes | None]]:
    """For ``hostile.name_server``: asks ``server`` and twists what it says."""

    async def reply(octets: bytes, tcp: bool) -> bytes | None:
        question = dns.message.from_wire(octets).question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        answer = await _over_tcp(octets, server)
        return twist(name, question.rdtype.name, answer, tcp)

    return reply


async def _over_tcp(octets: bytes, server: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(octets).to_bytes(2, "big") + octets)
        length = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(length)
    finally:
        writer.close()
