"""Directories that are silent, lie, or answer something else: nobody is let in and nobody waits for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gambeson.guard.edge.identity.ber import Reader, complete, element, integer
from gambeson.guard.edge.identity.ldap import DirectoryError, LdapDirectory, from_settings, place
from gambeson.guard.edge.identity.source import Verdict
from gambeson.settings.ldap import Ldap
from guard.edge.identity.asking import RIGHT, account, settings, sources
from peers.slapd import READER, dn

Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def result(number: int, kind: int, code: int, text: str = "") -> bytes:
    body = element(kind, integer(code, 0x0A), element(4), element(4, text.encode()))
    return element(0x30, integer(number), body)


def entry(number: int, name: str) -> bytes:
    return element(0x30, integer(number), element(0x64, element(4, name.encode()), element(0x30)))


def reference(number: int) -> bytes:
    return element(0x30, integer(number), element(0x73, element(4, b"ldap://elsewhere.example.net/")))


def answering(*, search: Callable[[int], bytes], bind: Callable[[int], bytes]) -> Say:
    """A directory that answers by number; binds of READER succeed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = b""
        while chunk := await reader.read(4096):
            buffer += chunk
            while size := complete(buffer, 65536):
                message = Reader(Reader(buffer[:size]).take(0x30))
                buffer = buffer[size:]
                number = message.number()
                tag, body = message.any()
                if tag == 0x60:
                    asked = Reader(body)
                    asked.number()
                    reads = asked.take(4).decode() == READER[0]
                    writer.write(result(number, 0x61, 0) if reads else bind(number))
                elif tag == 0x63:
                    writer.write(search(number))
                else:
                    writer.close()

    return serve


def found(number: int) -> bytes:
    return entry(number, dn("anna")) + result(number, 0x65, 0)


def against(
    serve: Say, password: str = RIGHT, start_tls: bool = False, **more: Any
) -> tuple[Verdict, float, list[str]]:
    troubles: list[str] = []

    scheme, answer = more.pop("scheme", "ldap"), more.pop("answer", 0.4)

    async def run() -> tuple[Verdict, float]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        asked = sources(
            settings(f"{scheme}://127.0.0.1:{port}", start_tls=start_tls, connect=0.4, answer=answer),
            troubles,
            **more,
        )
        began = time.monotonic()
        got = await asked.check(account(), password)
        took = time.monotonic() - began
        server.close()
        return got, took

    got, took = asyncio.run(run())
    return got, took, troubles


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass
    writer.close()


@pytest.mark.parametrize(
    ("scheme", "start_tls"),
    [("ldap", True), ("ldaps", False), ("ldap", False)],
    ids=["StartTLS", "ldaps", "bare"],
)
def test_a_silent_directory_costs_no_more_than_the_time_out(scheme: str, start_tls: bool) -> None:
    before = time.process_time()
    got, took, troubles = against(silent, start_tls=start_tls, scheme=scheme)
    assert got is Verdict.UNAVAILABLE
    assert took < 1.5
    assert troubles
    assert time.process_time() - before < 0.35  # it waits, it does not spin


def test_the_total_time_holds_even_where_each_step_would_have_more() -> None:
    got, took, _ = against(silent, answer=30, timeout=0.1)
    assert got is Verdict.UNAVAILABLE
    assert took < 3


def test_a_directory_silent_after_the_search_is_unavailable_and_counts_as_a_miss() -> None:
    got, took, _ = against(answering(search=found, bind=lambda _: b""))
    assert got is Verdict.UNAVAILABLE
    assert took < 1.5


AD = "80090308: LdapErr: DSID-0C090400, comment: AcceptSecurityContext error, data {}, v4563\0"


@pytest.mark.parametrize(
    ("code", "text", "verdict"),
    [
        (0, "", Verdict.RIGHT),
        (49, "", Verdict.WRONG),
        (49, AD.format("52e"), Verdict.WRONG),
        (49, AD.format("525"), Verdict.WRONG),
        (49, AD.format("530"), Verdict.LOCKED),
        (49, AD.format("531"), Verdict.LOCKED),
        (49, AD.format("532"), Verdict.EXPIRED),
        (49, AD.format("533"), Verdict.LOCKED),
        (49, AD.format("701"), Verdict.LOCKED),
        (49, AD.format("773"), Verdict.EXPIRED),
        (49, AD.format("775"), Verdict.LOCKED),
        (49, AD.format("999"), Verdict.WRONG),
        (32, "", Verdict.WRONG),
        (48, "", Verdict.WRONG),
        (19, "Exceed password retry limit", Verdict.LOCKED),
        (53, "Account inactivated", Verdict.LOCKED),
        (10, "a referral", Verdict.UNAVAILABLE),
        (14, "more SASL", Verdict.UNAVAILABLE),
        (8, "stronger authentication", Verdict.UNAVAILABLE),
        (51, "busy", Verdict.UNAVAILABLE),
        (80, "other", Verdict.UNAVAILABLE),
    ],
)
def test_answers_to_a_bind(code: int, text: str, verdict: Verdict) -> None:
    serve = answering(search=found, bind=lambda number: result(number, 0x61, code, text))
    assert against(serve)[0] is verdict


@pytest.mark.parametrize(
    ("name", "search", "verdict"),
    [
        ("a reference to elsewhere", lambda n: reference(n) + found(n), Verdict.RIGHT),
        ("only a reference", lambda n: reference(n) + result(n, 0x65, 0), Verdict.WRONG),
        ("an entry without a name", lambda n: entry(n, "") + result(n, 0x65, 0), Verdict.UNAVAILABLE),
        ("two and the limit", lambda n: entry(n, "cn=a") + entry(n, "cn=b") + result(n, 0x65, 4), Verdict.UNAVAILABLE),
        ("one, and an error", lambda n: entry(n, "cn=a") + result(n, 0x65, 1), Verdict.UNAVAILABLE),
        ("one, and the limit", lambda n: entry(n, "cn=a") + result(n, 0x65, 4), Verdict.UNAVAILABLE),
        ("another's answer", lambda n: found(n + 1), Verdict.UNAVAILABLE),
        ("a bind's answer", lambda n: result(n, 0x61, 0), Verdict.UNAVAILABLE),
        ("entries without end", lambda n: entry(n, "cn=a") * 500, Verdict.UNAVAILABLE),
        ("an enormous message", lambda n: b"\x30\x84\x7f\xff\xff\xff" + b"x" * 1000, Verdict.UNAVAILABLE),
        ("an indefinite length", lambda n: b"\x30\x80\x02\x01", Verdict.UNAVAILABLE),
        ("web", lambda n: b"HTTP/1.1 400 Bad Request\r\n\r\n", Verdict.UNAVAILABLE),
        ("a notice of disconnection", lambda n: result(0, 0x78, 52), Verdict.UNAVAILABLE),
    ],
)  # fmt: skip
def test_answers_to_a_search(name: str, search: Callable[[int], bytes], verdict: Verdict) -> None:
    serve = answering(search=search, bind=lambda number: result(number, 0x61, 0))
    assert against(serve)[0] is verdict, name


def test_a_success_that_answers_another_question_lets_nobody_in() -> None:
    for said in (
        lambda n: result(n - 1, 0x61, 0),
        lambda n: result(n, 0x65, 0),
        lambda n: result(n, 0x78, 0),
        lambda n: entry(n, dn("anna")),
    ):
        assert against(answering(search=found, bind=said))[0] is Verdict.UNAVAILABLE


def test_what_is_slipped_in_behind_starttls_is_not_believed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        # In the clear, everything that would let anybody in.
        writer.write(result(1, 0x78, 0) + result(2, 0x61, 0) + found(3) + result(2, 0x61, 0))
        await reader.read(4096)
        await asyncio.sleep(0.2)
        writer.close()

    assert against(serve, start_tls=True)[0] is Verdict.UNAVAILABLE


def test_no_starttls_no_question() -> None:
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(await reader.read(4096))
        writer.write(result(1, 0x78, 2, "unsupported"))
        sent.append(await reader.read(4096))
        writer.close()

    assert against(serve, start_tls=True)[0] is Verdict.UNAVAILABLE
    assert READER[1].encode() not in b"".join(sent)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"bind_password": ""}, "go together"),
        ({"filter": "(mail=anna)"}, "would find anybody"),
        ({"filter": "(mail={address}"}, "is missing"),
    ],
)
def test_settings_that_do_not_do(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LdapDirectory(settings("ldaps://ldap.example.org", **more))


@pytest.mark.parametrize(
    "url",
    ["", "http://x", "ldap://", "ldap://a b", "ldap://x:0", "ldap://x:70000", "ldapi://rel", "ldap://x/dc=a"],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(DirectoryError):
        place(url)


def test_the_services_password_is_in_no_repr() -> None:
    assert READER[1] not in repr(settings("ldaps://ldap.example.org"))


def test_the_section_of_the_settings_file() -> None:
    section = Ldap(
        url=("ldaps://a.example.org", "ldaps://b.example.org"), base="dc=a", bind_dn="cn=r", timeout_s=2
    )
    read = from_settings(section, "gehe\u00efm".encode())
    assert read.urls == ("ldaps://a.example.org", "ldaps://b.example.org")
    assert (read.bind_password, read.connect, read.answer) == ("gehe\u00efm", 2.0, 2.0)
    LdapDirectory(read)
    with pytest.raises(DirectoryError, match="UTF-8"):
        from_settings(section, b"\xff")
