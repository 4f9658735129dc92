"""Looking at a ManageSieve server: capabilities, STARTTLS, capabilities again, LOGOUT (RFC 5804). No sign-in."""

from __future__ import annotations

from collections.abc import Generator

from .limits import MAX_UPSTREAM_LINE
from .probe import (
    Aim,
    BeginTls,
    Fault,
    Leave,
    Offered,
    Probe,
    Script,
    Step,
    TroubleError,
    malformed,
    mechanisms,
    too_long,
    words,
)
from .sieve import Kind, Reader, Result, SieveSyntaxError, SieveTooLongError, Token, parse_result

_TAG = b"gambeson"
_Part = Generator[Step, list[Token], tuple[Result, dict[str, bytes]]]


class SieveProbe(Probe[list[Token]]):
    """See :class:`~gambeson.wire.probe.Probe`; an answer is one response line's tokens."""

    what = "ManageSieve"

    def __init__(self, aim: Aim = Aim.LOOK, *, implicit: bool = False, name: str = "") -> None:
        self._reader = self._fresh()
        super().__init__(aim, implicit=implicit, name=name)

    @staticmethod
    def _fresh() -> Reader:
        most = MAX_UPSTREAM_LINE
        return Reader(line=most, literal=most, total=most, server=True)

    def _feed(self, data: bytes) -> None:
        self._reader.input.feed(data)

    def _clear(self) -> None:
        self._reader = self._fresh()

    def _next(self) -> list[Token] | None:
        try:
            return self._reader.next()
        except SieveTooLongError:
            raise too_long("its answer is longer than any server's needs to be") from None
        except SieveSyntaxError:
            raise malformed(self.what) from None

    def _talk(self) -> Script[list[Token]]:
        seen = self.seen
        result, told = yield from self._heard((yield b""))
        if result.status != "OK":
            fault = Fault.BUSY if result.status == "BYE" or result.code == "TRYLATER" else Fault.REFUSED
            raise TroubleError(fault, f"it greets us with {result.status} {result.text}".rstrip())
        if not told:
            raise malformed(self.what)
        seen.banner = result.text
        offer = self._offer(told)
        if self.implicit:
            seen.secured = offer
        else:
            seen.plain = offer
            seen.offers_tls = "STARTTLS" in told
            if seen.offers_tls and (yield from self._starttls()):
                if self.aim is Aim.INJECTION:
                    seen.obeyed = yield from self._obeyed()
                    return
                # It tells them unasked (RFC 5804 section 2.2); older servers do not, so they are asked for.
                result, told = yield from self._ask(b"CAPABILITY")
                if result.status != "OK" or not told:
                    raise malformed(self.what)
                seen.secured = self._offer(told)
        if self.aim is Aim.LOOK:
            yield Leave(b"LOGOUT\r\n")

    def _ask(self, line: bytes) -> _Part:
        self.asked = line.partition(b"\r")[0].decode("ascii")
        return (yield from self._heard((yield line + b"\r\n")))

    def _heard(self, tokens: list[Token]) -> _Part:
        """The lines up to the one that ends an answer, the first kept of each name."""
        told: dict[str, bytes] = {}
        while (result := parse_result(tokens)) is None:
            if not tokens or any(token.kind is not Kind.STRING for token in tokens):
                raise malformed(self.what)
            name = tokens[0].value.decode("ascii", "replace").upper()
            told.setdefault(name, tokens[1].value if len(tokens) > 1 else b"")
            tokens = yield b""
        return result, told

    def _offer(self, told: dict[str, bytes]) -> Offered:
        lines = (name.encode() + (b" " + value if value else b"") for name, value in told.items())
        sasl = words(told.get("SASL", b"").split(), self.seen)
        if implementation := words((told.get("IMPLEMENTATION", b""),), self.seen)[0]:
            self.seen.identity = (("IMPLEMENTATION", implementation),)
        return Offered(words(lines, self.seen), mechanisms(sasl))

    def _starttls(self) -> Generator[Step, list[Token], bool]:
        injected = b'\r\nNOOP "%b"' % _TAG if self.aim is Aim.INJECTION else b""
        result, _ = yield from self._ask(b"STARTTLS" + injected)
        if result.status != "OK":
            if injected:
                self.seen.obeyed = False
            else:
                self.seen.note(f"it offers STARTTLS and refuses it: {result.text}".rstrip(": "))
            return False
        yield BeginTls()
        return True

    def _obeyed(self) -> Generator[Step, list[Token], bool]:
        # Answers come in order: the capabilities (unasked), the NOOP's where it was obeyed, LOGOUT's. Older servers
        # leave out the first. The last answer is followed by the end of the connection, so they are told by count.
        result, told = yield from self._ask(b"LOGOUT")
        if not told:
            # No capabilities: this answers the NOOP, or LOGOUT. A server that knows NOOP gives its tag back.
            return result.status == "NO" or result.code == "TAG"
        result, _ = yield from self._heard((yield b""))
        return result.status == "NO" or result.code == "TAG"
