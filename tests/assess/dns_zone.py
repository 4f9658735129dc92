"""A small name space for tests: as answers for our judgements, and as a real name server on loopback for an oracle."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset

from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, WantedError
from gambeson.assess.core.unknown import Cause, Unknown

T = TypeVar("T")
SERVFAIL = "SERVFAIL"  # as the only record: the server could not find out
NXDOMAIN = (
    "NXDOMAIN"  # as the only record: the server says that there is no such name, whatever else it has there
)
Records = Mapping[str, Sequence[str] | str]


class Zone:
    """``records`` has ``"name TYPE"`` as keys. A name exists when it, or one below it, has records."""

    def __init__(self, records: Records) -> None:
        self._records: dict[tuple[str, str], tuple[str, ...]] = {}
        for key, value in records.items():
            name, kind = key.split(" ")
            self._records[name.lower(), kind] = (value,) if isinstance(value, str) else tuple(value)

    def answer(self, question: Question) -> DnsAnswer:
        records = self._records.get((question.name, question.type))
        if records == (SERVFAIL,):
            unknown = Unknown(Cause.SERVFAIL, f"{question.name} {question.type}")
            return DnsAnswer(question, DnsState.UNKNOWN, unknown=unknown)
        if records == (NXDOMAIN,):
            return DnsAnswer(question, DnsState.NO_NAME)
        if records:
            return DnsAnswer(question, DnsState.RECORDS, records, 300)
        exists = any(n == question.name or n.endswith("." + question.name) for n, _ in self._records)
        return DnsAnswer(question, DnsState.NO_DATA if exists else DnsState.NO_NAME)

    def settle(self, judge: Callable[[dict[Question, DnsAnswer]], T], most: int = 1000) -> T:
        """``judge(answers)`` with every answer that it asks for, ``most`` of them."""
        answers: dict[Question, DnsAnswer] = {}
        while True:
            try:
                return judge(answers)
            except WantedError as wanted:
                questions = [question for question in wanted.questions if question not in answers]
            if not questions or len(answers) + len(questions) > most:
                raise AssertionError(f"it asks without end: {questions}")
            answers.update((question, self.answer(question)) for question in questions)

    @contextlib.contextmanager
    def served(self) -> Iterator[dns.resolver.Resolver]:
        """A resolver that asks this zone over UDP on loopback."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            thread = threading.Thread(target=self._serve, args=(server,))
            thread.start()
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
            resolver.cache = None
            try:
                yield resolver
            finally:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                    last.sendto(b"", server.getsockname())
                thread.join()

    def _serve(self, server: socket.socket) -> None:
        while True:
            data, peer = server.recvfrom(65535)
            if not data:
                return
            server.sendto(self._reply(dns.message.from_wire(data)), peer)

    def _reply(self, query: dns.message.Message) -> bytes:
        [asked] = query.question
        kind = dns.rdatatype.to_text(asked.rdtype)
        answer = self.answer(Question(asked.name.to_text().rstrip(".").lower(), kind))
        response = dns.message.make_response(query, recursion_available=True)
        if answer.state is DnsState.UNKNOWN:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif answer.state is DnsState.NO_NAME:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif answer.records:
            rrset = dns.rrset.RRset(asked.name, dns.rdataclass.IN, asked.rdtype)
            for record in answer.records:
                rrset.add(_rdata(kind, record), 300)
            response.answer.append(rrset)
        return response.to_wire(max_size=65535)


def _rdata(kind: str, record: str) -> dns.rdata.Rdata:
    if kind != "TXT":
        return dns.rdata.from_text("IN", kind, record, origin=dns.name.root, relativize=False)
    octets = record.encode("latin-1")
    pieces = [octets[i : i + 255] for i in range(0, len(octets), 255)] or [b""]
    wire = b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return dns.rdata.from_wire("IN", "TXT", wire, 0, len(wire))
