"""The playground's POP3 server (RFC 1939, RFC 2449, RFC 5034) over the INBOX Maildir.

A small gap filled by us, since no kept package serves POP3. One reader task a connection, a lock on the mailbox while a
session is open (RFC 1939 section 4), messages removed only in the UPDATE state.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable

from gambeson.model.access import RawLogin
from gambeson.wire.sasl import Exchange, SaslError, decode

from .access import TokenDoor
from .mailboxes import Mailboxes
from .maildir import RawMaildir

MAX_LINE = 12288
IDLE_SECONDS = 660.0  # RFC 1939 section 3: at least 10 minutes
_CAPABILITIES = (
    b"TOP",
    b"UIDL",
    b"RESP-CODES",
    b"AUTH-RESP-CODE",
    b"PIPELINING",
    b"SASL OAUTHBEARER XOAUTH2 PLAIN",
)

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def handler(boxes: Mailboxes, door: TokenDoor) -> Connected:
    """The callback for :func:`asyncio.start_unix_server`."""
    locked: set[str] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(reader, writer, boxes, door, locked)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            pass  # the peer went away, was silent for too long, or sent an endless line
        finally:
            session.release()
            with contextlib.suppress(ConnectionError):
                writer.close()

    return connected


class _Drop:
    """The maildrop as it was when the session began: numbers stay, deletions are marks."""

    def __init__(self, box: RawMaildir) -> None:
        self.box = box
        self.keys = sorted(box.keys(), key=_arrival)
        self.deleted: set[int] = set()
        self._sizes: dict[int, int] = {}

    def text(self, n: int) -> bytes:
        return self.box.get_bytes(self.keys[n - 1])

    def size(self, n: int) -> int:
        if n not in self._sizes:
            self._sizes[n] = len(self.text(n))
        return self._sizes[n]

    def live(self) -> list[int]:
        return [n for n in range(1, len(self.keys) + 1) if n not in self.deleted]

    def number(self, word: bytes) -> int | None:
        """The message that ``word`` names, or None."""
        if not word.isdigit() or len(word) > 9:
            return None
        n = int(word)
        return n if 1 <= n <= len(self.keys) and n not in self.deleted else None

    def uid(self, n: int) -> bytes:
        # RFC 1939 section 7: 1 to 70 characters in the range 0x21 to 0x7E
        return self.keys[n - 1].encode("ascii", "replace")[:70]


def _arrival(key: str) -> tuple[list[int], str]:
    """Sorts Maildir names by arrival: seconds, microseconds and serial number have no leading zeros."""
    return [int(digits) for digits in re.findall(r"\d+", key)[:4]], key


class _Session:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        boxes: Mailboxes,
        door: TokenDoor,
        locked: set[str],
    ) -> None:
        self._reader, self._writer, self._boxes, self._door = reader, writer, boxes, door
        self._locked, self._address = locked, ""
        self._drop: _Drop | None = None

    def release(self) -> None:
        """Give the maildrop's lock back."""
        self._locked.discard(self._address)
        self._address = ""

    async def run(self) -> None:
        """Greet and answer commands until QUIT."""
        await self._say(b"+OK Gambeson playground POP3, for trying out only")
        while True:
            line = await self._line()
            word, _, rest = line.partition(b" ")
            word = word.upper()
            if word == b"QUIT":
                await self._quit()
                return
            if word == b"CAPA":
                await self._lines(b"+OK", _CAPABILITIES)
            elif self._drop is None:
                await self._authorization(word, rest)
            else:
                await self._transaction(word, rest.split(), self._drop)

    async def _line(self) -> bytes:
        line = await asyncio.wait_for(self._reader.readline(), IDLE_SECONDS)
        if not line.endswith(b"\n") or len(line) > MAX_LINE:
            raise ConnectionError
        return line.rstrip(b"\r\n")

    async def _say(self, line: bytes) -> None:
        self._writer.write(line + b"\r\n")
        await self._writer.drain()

    async def _lines(self, first: bytes, lines: tuple[bytes, ...] | list[bytes]) -> None:
        await self._say(b"\r\n".join((first, *lines, b".")))

    async def _authorization(self, word: bytes, rest: bytes) -> None:
        if word != b"AUTH":
            await self._say(b"-ERR sign in first, with AUTH")
            return
        name, _, initial = rest.partition(b" ")
        try:
            login = await self._exchange(name.decode("ascii", "replace"), initial)
        except SaslError as error:
            await self._say(b"-ERR " + str(error).encode())
            return
        address = self._door.account(login)
        if address is None:
            await self._say(b"-ERR [AUTH] only the doors sign in here")
        elif address in self._locked:
            await self._say(b"-ERR [IN-USE] another session reads this mailbox")
        else:
            self._locked.add(address)
            self._address = address
            self._drop = _Drop(self._boxes.inbox(address))
            await self._say(b"+OK signed in")

    async def _exchange(self, mechanism: str, initial: bytes) -> RawLogin:
        exchange = Exchange(mechanism)
        answer = exchange.step(decode(initial) if initial else None)
        for _ in range(3):
            if isinstance(answer, RawLogin):
                return answer
            if initial or answer:
                # OAUTHBEARER's error challenge comes after the token: the check below says yes or no.
                answer = exchange.step(b"\x01")
                continue
            await self._say(b"+ ")
            line = await self._line()
            if line == b"*":
                raise SaslError("cancelled")
            initial, answer = line, exchange.step(decode(line))
        raise SaslError("the exchange did not end")

    async def _quit(self) -> None:
        if self._drop is not None:
            for n in self._drop.deleted:
                self._drop.box.discard(self._drop.keys[n - 1])
        await self._say(b"+OK bye")

    async def _transaction(self, word: bytes, words: list[bytes], drop: _Drop) -> None:
        match word, words:
            case b"NOOP", []:
                await self._say(b"+OK")
            case b"STAT", []:
                live = drop.live()
                await self._say(b"+OK %d %d" % (len(live), sum(map(drop.size, live))))
            case b"RSET", []:
                drop.deleted.clear()
                await self._say(b"+OK")
            case ((b"LIST" | b"UIDL"), []):
                await self._lines(b"+OK", [b"%d %s" % (n, self._item(word, drop, n)) for n in drop.live()])
            case ((b"LIST" | b"UIDL" | b"DELE" | b"RETR"), [which]):
                await self._one(word, drop, drop.number(which))
            case b"TOP", [which, count] if count.isdigit() and len(count) < 9:
                await self._send(drop, drop.number(which), int(count))
            case _:
                await self._say(b"-ERR no such command here")

    @staticmethod
    def _item(word: bytes, drop: _Drop, n: int) -> bytes:
        return drop.uid(n) if word == b"UIDL" else b"%d" % drop.size(n)

    async def _one(self, word: bytes, drop: _Drop, n: int | None) -> None:
        if n is None:
            await self._say(b"-ERR no such message")
        elif word == b"DELE":
            drop.deleted.add(n)
            await self._say(b"+OK deleted")
        elif word == b"RETR":
            await self._send(drop, n, None)
        else:
            await self._say(b"+OK %d %s" % (n, self._item(word, drop, n)))

    async def _send(self, drop: _Drop, n: int | None, top: int | None) -> None:
        if n is None:
            await self._say(b"-ERR no such message")
            return
        text = drop.text(n)
        if top is not None:
            head, _, body = text.partition(b"\r\n\r\n")
            text = head + b"\r\n\r\n" + b"".join(line + b"\r\n" for line in body.split(b"\r\n")[:top])
        if not text.endswith(b"\r\n"):
            text += b"\r\n"
        stuffed = text.replace(b"\r\n.", b"\r\n..")  # RFC 1939 section 3
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        self._writer.write(b"+OK\r\n" + stuffed + b".\r\n")
        await self._writer.drain()
