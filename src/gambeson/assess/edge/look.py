"""One look from outside: names first, then doors and pages side by side, then whatever the checks still want to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gambeson.assess.core.addresses import public
from gambeson.assess.core.check import Check
from gambeson.assess.core.discovery import hosts
from gambeson.assess.core.dns import Question
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.evaluate import wanted
from gambeson.assess.core.facts import Facts, Host
from gambeson.assess.core.fingerprints import Fingerprint, observe
from gambeson.assess.core.plan import Knock, knocks, left_out
from gambeson.assess.core.software import Observation
from gambeson.assess.core.tls import TlsFacts
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.core.web import Page

from .authorities import Authorities
from .door_probe import probe_door
from .manners import Manners, OutOfTimeError
from .reference import reference
from .resolver import Resolver
from .selectors import usual_selectors
from .settle import Answered
from .stream import Closed, connected
from .tls_probe import Opener, probe_tls
from .web_probe import probe_pages

WEB = frozenset({Protocol.HTTP, Protocol.HTTPS})
SECONDS = (
    52.0  # the promise is sixty, and where servers bring all that they may, judging it takes some of them
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to look at. ``given`` are host names and addresses of the person's; without ``probe`` only names are asked.
    ``private``: addresses of private and special use are probed too (a laboratory, or one's own network). ``ports``
    are those that differ from the usual."""

    domain: str
    given: tuple[str, ...] = ()
    probe: bool = False
    private: bool = False
    ports: Mapping[Protocol, int] = field(default_factory=dict)
    seconds: float = SECONDS


@dataclass(slots=True)
class Progress:
    """How far it is. ``tell`` is called whenever that changes."""

    tell: Callable[[Progress], None]
    doing: str = ""
    done: int = 0
    total: int = 0

    def more(self, doing: str, count: int = 0) -> None:
        """``count`` more things are to be done, of the kind ``doing``."""
        self.doing, self.total = doing, self.total + count
        self.tell(self)

    def one(self) -> None:
        """One of them is done."""
        self.done += 1
        self.tell(self)


class Look:
    """One look. ``checks`` say what is asked of names; ``now`` is the time in seconds since 1970."""

    def __init__(
        self,
        request: Request,
        checks: Sequence[Check],
        resolver: Resolver,
        authorities: Authorities,
        now: float,
        progress: Progress,
    ) -> None:
        self._request, self._checks, self._now, self._progress = request, checks, now, progress
        self._authorities = authorities
        self._manners = Manners(request.seconds)
        self._resolver = resolver
        self._asked = Answered(resolver, self._manners)
        self._doors: list[DoorFacts] = []
        self._pages: list[Page] = []
        self._unfinished: list[str] = []
        self._hosts: tuple[Host, ...] = ()
        self._swept: set[tuple[str, int]] = set()
        self._software: tuple[dict[Observation, None], dict[Observation, None]] = (
            {},
            {},
        )  # from doors, from pages
        self._observed = (0, 0)  # of those, how many were looked through: each only once

    async def run(self) -> Facts:
        """The facts. Raises nothing of what peers do; the end of its time leaves things unknown and says which."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        request = self._request
        self._progress.more("names")
        found = await self._asked.settle(lambda: hosts(request.domain, request.given, self._asked.answers))
        self._hosts = tuple(self._to_probe(host) for host in found)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._asked.feed(self._wanted))
            if request.probe:
                await self._knock(group)
        await self._asked.feed(self._wanted)  # what doors and pages made the checks ask for
        return replace(self._facts(), took=loop.time() - began)

    def _to_probe(self, host: Host) -> Host:
        """``host`` without what records must not lead us to. An address that the person typed is theirs."""
        if self._request.private or host.addresses == (host.name,):
            return host
        left_out = [
            (address, Unknown(Cause.PRIVATE, address)) for address in host.addresses if not public(address)
        ]
        kept = tuple(address for address in host.addresses if public(address))
        return replace(host, addresses=kept, left_out=(*host.left_out, *left_out))

    def _wanted(self) -> set[Question]:
        return wanted(self._facts(), self._checks)

    def _facts(self) -> Facts:
        doors, pages, tables = tuple(self._doors), tuple(self._pages), reference()
        return Facts(
            domain=self._request.domain,
            at=self._now,
            probed=self._request.probe,
            answers=self._asked.answers,
            hosts=self._hosts,
            doors=doors,
            pages=pages,
            software=self._observe(doors, pages, tables.fingerprints),
            dkim_selectors=usual_selectors(),
            resolver=str(self._resolver),
            reference=tables,
            unfinished=tuple(self._unfinished),
            private=self._request.private,
        )

    def _observe(
        self, doors: tuple[DoorFacts, ...], pages: tuple[Page, ...], prints: Sequence[Fingerprint]
    ) -> tuple[Observation, ...]:
        before, self._observed = self._observed, (len(doors), len(pages))
        from_doors, from_pages = self._software
        from_doors |= dict.fromkeys(observe(doors[before[0] :], (), prints))
        from_pages |= dict.fromkeys(observe((), pages[before[1] :], prints))
        return tuple(from_doors | from_pages)

    async def _knock(self, group: asyncio.TaskGroup) -> None:
        plan = knocks(self._hosts, self._request.domain, self._request.ports)
        self._say_left_out()
        self._progress.more("doors", len(plan))
        for knock in plan:
            group.create_task(self._one(knock))

    def _say_left_out(self) -> None:
        """What the plan has no room for is said: a weak host must not hide behind many others."""
        beyond, why = left_out(self._hosts, self._request.domain, self._request.ports)
        addresses: dict[str, dict[str, Unknown]] = {}
        for knock in beyond:
            addresses.setdefault(knock.host, {})[knock.address] = Unknown(Cause.NOT_ASKED, why)
        self._hosts = tuple(
            replace(host, left_out=(*host.left_out, *addresses.get(host.name, {}).items()))
            for host in self._hosts
        )

    async def _one(self, knock: Knock) -> None:
        try:
            if knock.protocol in WEB:
                door = await self._web(knock)
            else:
                door = await probe_door(
                    knock.host, knock.address, knock.port, knock.protocol, self._manners, self._tls
                )
        except OutOfTimeError:
            self._unfinished.append(f"{knock.host}:{knock.port}")
            door = _door(knock, PortState.UNKNOWN, Unknown(Cause.DEADLINE))
        except Exception as error:  # what one peer provokes in us must not end the look at the others
            found = next(_single(error))
            door = _door(
                knock, PortState.UNKNOWN, Unknown(Cause.DEFECT, f"{type(found).__name__}: {found}"[:200])
            )
        finally:
            self._progress.one()
        self._doors.append(door)

    async def _web(self, knock: Knock) -> DoorFacts:
        """A web port: open or not, its TLS (once an address, every name has its pages), then its pages."""
        async with connected(knock.address, knock.port, self._manners) as found:
            if isinstance(found, Closed):
                return _door(knock, PortState.CLOSED)
            if isinstance(found, Unknown):
                return _door(knock, PortState.UNKNOWN, found)
        door = _door(knock, PortState.OPEN)
        if knock.protocol is Protocol.HTTPS and (knock.address, knock.port) not in self._swept:
            self._swept.add((knock.address, knock.port))
            door = replace(
                door,
                starttls=StartTls.IMPLICIT,
                tls=await self._tls(partial(connected, knock.address, knock.port, self._manners), knock.host),
            )
        self._pages += await probe_pages(
            knock.host,
            knock.address,
            knock.port,
            knock.protocol,
            self._manners,
            self._authorities,
            self._now,
            policy_only=self._policy_only(knock.host),
        )
        return door

    def _policy_only(self, name: str) -> bool:
        return any(host.name == name and host.roles == ("mta-sts",) for host in self._hosts)

    async def _tls(self, opener: Opener, host: str) -> TlsFacts:
        return await probe_tls(opener, host, self._manners, self._now, self._authorities)


def _single(error: Exception) -> Iterator[Exception]:
    """What is within groups of exceptions."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _single(inner)
    else:
        yield error


def _door(knock: Knock, state: PortState, unknown: Unknown | None = None) -> DoorFacts:
    return DoorFacts(knock.host, knock.address, knock.port, knock.protocol, state, unknown)
