"""Servers of our own that nobody should meet, and an Exchange that is none, at their addresses of the laboratory."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import uvicorn

from gambeson.assess.core.doors import Protocol
from gambeson.playground.exchange.front_end import FrontEnd
from gambeson.playground.exchange.logs import ExchangeLogs
from gambeson.playground.exchange.serve import application
from gambeson.playground.mailboxes import Mailboxes

from .addresses import HOSTILE, NS_LAME, NS_OLD, NS_RECURSIVE, NS_SILENT, WEB, WEB_TLS

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Conduct = Callable[[Reader, Writer], Awaitable[None]]
Reply = Callable[[bytes, bool], Awaitable[bytes | None]]  # of a question, and whether over TCP
FOREVER = 3600.0


async def _more(writer: Writer, octets: bytes) -> None:
    """Writes, and lets others run: a TLS stream that is gone says so only later."""
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(octets)
    await writer.drain()
    await asyncio.sleep(0)


def says(*parts: bytes, between: float = 0.0, forever: bool = False) -> Conduct:
    """Says the parts, the last without end where asked to, and then only listens."""

    async def conduct(reader: Reader, writer: Writer) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(between)
        while forever:
            await _more(writer, parts[-1])
        while await reader.read(65536):
            pass

    return conduct


def answers(greeting: bytes, replies: Mapping[bytes, bytes], *, then_close: bytes = b"") -> Conduct:
    """A server of lines: each command that begins so has its answer; after ``then_close`` it is gone."""

    async def conduct(reader: Reader, writer: Writer) -> None:
        writer.write(greeting)
        while line := await reader.readline():
            for begins, reply in replies.items():
                tag, _, rest = line.partition(b" ")
                if line.upper().startswith(begins) or rest.upper().startswith(begins):
                    writer.write(reply.replace(b"TAG", tag))
            await writer.drain()
            if then_close and then_close in line.upper():
                return

    return conduct


async def _closes(reader: Reader, writer: Writer) -> None:
    return


async def _endless_page(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nServer: x\r\n")
    while True:
        await _more(writer, b"X-More: " + b"y" * 1000 + b"\r\n")


def obeys(context: ssl.SSLContext) -> Conduct:
    """An SMTP server that keeps what came before TLS and obeys it inside (CVE-2011-0411)."""

    async def conduct(reader: Reader, writer: Writer) -> None:
        writer.write(b"220 mx1 ESMTP\r\n")
        begun = False
        while line := (await reader.readline()).upper():
            starts = line.startswith(b"STARTTLS")
            offer = b"" if begun else b"250-STARTTLS\r\n"
            writer.write(
                b"220 go on\r\n"
                if starts
                else b"250-mx1\r\n" + offer + b"250 HELP\r\n"
                if line.startswith(b"EHLO")
                else b"250 well\r\n"
            )
            await writer.drain()
            if starts:
                begun = True
                await writer.start_tls(context)
            if line.startswith(b"QUIT"):
                return

    return conduct


_PREAUTH = answers(
    b"* PREAUTH [CAPABILITY IMAP4rev1] come in\r\n",
    {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\nTAG OK\r\n", b"LOGOUT": b"* BYE\r\nTAG OK\r\n"},
    then_close=b"LOGOUT",
)
_STARTTLS_FAILS = answers(
    b"220 mx1 ESMTP\r\n",
    {b"EHLO": b"250-mx1\r\n250 STARTTLS\r\n", b"STARTTLS": b"220 go on\r\n", b"QUIT": b"221 bye\r\n"},
    then_close=b"STARTTLS",
)
# name -> protocol, behaviour, with TLS
_CONDUCTS: dict[str, tuple[Protocol, Conduct, bool]] = {
    "tarpit": (Protocol.IMAP, says(), False),
    "garbage": (Protocol.IMAP, says(bytes(range(256)) * 8 + b"\r\n"), False),
    "endless": (Protocol.IMAP, says(b"* OK " + b"x" * 65536, forever=True), False),
    "closing": (Protocol.IMAP, _closes, False),
    "http": (Protocol.IMAP, says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), False),
    "drip": (Protocol.IMAP, says(*(bytes([octet]) for octet in b"* OK " + b"z" * 300), between=0.5), False),
    "preauth": (Protocol.IMAP, _PREAUTH, False),
    "busy": (Protocol.IMAP, says(b"* BYE too many connections from your address\r\n"), False),
    "starttls-fails": (Protocol.SMTP, _STARTTLS_FAILS, False),
    "smtp-tarpit": (Protocol.SMTP, says(), False),
    "smtp-garbage": (Protocol.SMTP, says(b"\0\xff\xfe" * 500 + b"\r\n"), False),
    "https-silent": (Protocol.HTTPS, says(), False),
    "https-plain": (Protocol.HTTPS, says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), False),
    "https-endless": (Protocol.HTTPS, _endless_page, True),
}


OLD_SUITES = {bytes.fromhex(code) for code in ["c007", "c008", "c011", "c012"]}
GOOD_SUITES = {
    bytes.fromhex(code) for code in ["1301", "1302", "1303", "c02b", "c02c", "c02f", "c030", "cca8", "cca9"]
}


async def _copy(source: Reader, sink: Writer) -> None:
    with contextlib.suppress(OSError):
        while octets := await source.read(65536):
            sink.write(octets)
            await sink.drain()
    sink.close()


class Hostiles:
    """All of them, between ``async with`` and its end, in the running loop. ``emulator`` is the port of the
    playground's Exchange on 127.0.0.1."""

    def __init__(
        self, folder: Path, ports: Mapping[Protocol, int], dns_port: int, good: Path, emulator: int
    ) -> None:
        self._folder, self._ports, self._dns_port = folder, ports, dns_port
        self._good, self._emulator = good, emulator
        self._closing: list[Callable[[], None]] = []
        self._uvicorn: uvicorn.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Hostiles:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._good)
        await self._serve(HOSTILE["obeys"], self._ports[Protocol.SMTP], obeys(context), None)
        for name, (protocol, conduct, tls) in _CONDUCTS.items():
            await self._serve(HOSTILE[name], self._ports[protocol], conduct, context if tls else None)
        await self._serve(WEB_TLS["rc4"], self._ports[Protocol.HTTPS], self._old_suites, None)
        for address, reply in (
            (NS_LAME, _refused),
            (NS_OLD, _old),
            (NS_RECURSIVE, _recursive),
            (NS_SILENT, _nothing),
        ):
            self._closing.append(await name_server(address, self._dns_port, reply))
        await self._exchange()
        return self

    async def __aexit__(self, *_: object) -> None:
        for close in self._closing:
            close()
        for task in self._tasks:
            task.cancel()
        self._uvicorn.force_exit = True
        await self._uvicorn.shutdown()

    async def _serve(self, address: str, port: int, conduct: Conduct, context: ssl.SSLContext | None) -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await conduct(reader, writer)
            except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError, ValueError):
                pass
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, address, port, ssl=context)
        self._closing.append(server.close)

    async def _old_suites(self, reader: Reader, writer: Writer) -> None:
        """Takes RC4 and 3DES, which no library here has any more, as far as the answer to a first message; whatever
        else is asked goes to the good web server."""
        head = await reader.readexactly(5)
        hello = await reader.readexactly(int.from_bytes(head[3:5], "big"))
        at = 39 + hello[38]  # behind type, length, version, random and session
        length = int.from_bytes(hello[at : at + 2], "big")
        suites = [hello[n : n + 2] for n in range(at + 2, at + 2 + length, 2)]
        old = [suite for suite in suites if suite in OLD_SUITES]
        if old and GOOD_SUITES.isdisjoint(suites):  # as OpenSSL does, it takes what it likes best
            body = b"\x03\x03" + bytes(32) + b"\0" + old[0] + b"\0"
            message = b"\x02" + len(body).to_bytes(3, "big") + body
            writer.write(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
            await writer.drain()
            return
        theirs, ours = await asyncio.open_connection(WEB, self._ports[Protocol.HTTPS])
        ours.write(head + hello)
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, ours))
            group.create_task(_copy(theirs, writer))

    async def _exchange(self) -> None:
        front = FrontEnd(
            Mailboxes(self._folder / "mail", {"ada@example.org": ()}), {"ada@example.org": "secret"}
        )
        config = uvicorn.Config(
            application(front, ExchangeLogs(self._folder / "logs")),
            host="127.0.0.1",
            port=self._emulator,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        config.load()
        self._uvicorn = uvicorn.Server(config)
        self._uvicorn.lifespan = config.lifespan_class(config)
        await self._uvicorn.startup()


# -- name servers -------------------------------------------------------------------------------------------------


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        if (octets := await self._reply(data, False)) is not None and not self._transport.is_closing():
            self._transport.sendto(octets, addr)


async def name_server(address: str, port: int, reply: Reply) -> Callable[[], None]:
    """Answers questions over UDP and TCP as ``reply`` says; what is returned closes it."""

    async def over_tcp(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            length = int.from_bytes(await reader.readexactly(2), "big")
            octets = await reader.readexactly(length)
            if (found := await reply(octets, True)) is not None:
                writer.write(len(found).to_bytes(2, "big") + found)
                await writer.drain()
        writer.close()

    tcp = await asyncio.start_server(over_tcp, address, port)
    udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Udp(reply), local_addr=(address, port)
    )

    def close() -> None:
        udp.close()
        tcp.close()

    return close


async def _refused(octets: bytes, tcp: bool) -> bytes | None:
    made = dns.message.make_response(dns.message.from_wire(octets))
    made.set_rcode(dns.rcode.REFUSED)
    return made.to_wire()


def _soa(octets: bytes, serial: int, flags: int) -> bytes:
    question = dns.message.from_wire(octets)
    made = dns.message.make_response(question)
    made.flags |= dns.flags.AA | flags
    name = question.question[0].name
    made.answer.append(
        dns.rrset.from_text(name, 3600, "IN", "SOA", f"ns.test. admin.test. {serial} 3600 600 86400 60")
    )
    return made.to_wire()


async def _old(octets: bytes, tcp: bool) -> bytes | None:
    return _soa(octets, 4, 0)


async def _recursive(octets: bytes, tcp: bool) -> bytes | None:
    return _soa(octets, SERIAL, dns.flags.RA)


async def _nothing(octets: bytes, tcp: bool) -> bytes | None:
    return None


SERIAL = 1
