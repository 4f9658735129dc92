"""The walk round the house: what is tried at every way in, what came of it, and which of it is a side door.

Pure: an :class:`Attempt` says what to try, a *talk* (``walk_imap`` and its neighbours) says it in the protocol's
words, somebody at the edge moves the bytes, and :func:`side_doors` judges the :class:`Record` that came of it.

Rules of the walk:

- Entering below the floor is a side door; a refusal is one thing tried and held. What could not be reached, or was
  answered with "later", is neither: it is said, and the walk is incomplete.
- What the policy itself declares open (a mode, an exception, the bypass) is open all the same. It is told apart by
  its severity, never left out.
- Only the canary's own account is knocked with; no mail leaves: a message is given only where an attempt is about
  the message's sender, and then only from the canary to the canary.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b

from gambeson.model.access import DoorKind, Listener, Rung
from gambeson.model.finding import Evidence, Finding, Severity

MAX_SAID = 200


class Outcome(StrEnum):
    """What came of an attempt."""

    REFUSED = "refused"
    ENTERED = "entered"
    NOT_OFFERED = "not-offered"
    UNREACHABLE = "unreachable"
    CANNOT_SAY = "cannot-say"


class Path(StrEnum):
    """What lay between: nothing, TLS begun by a command, TLS from the first byte."""

    PLAIN = "plaintext"
    STARTTLS = "starttls"
    TLS = "tls"


class Kind(StrEnum):
    """What is tried."""

    SIGN_IN = "sign-in"
    NO_LOGIN = "commands-without-login"
    INJECTION = "starttls-injection"
    RELAY = "relay-without-login"
    FORGED_ENVELOPE = "foreign-envelope-sender"
    FORGED_HEADER = "foreign-from-header"
    WEB = "web-sign-in"
    SESSION = "web-session"
    HEADER = "web-header"
    CLOSED = "closed-path"
    TRICK = "path-trick"
    HOST = "host-trick"
    PEOPLE = "people-at-device-host"
    SHIELD = "shield"
    SHIELD_ANSWER = "shield-answer"
    PORTAL = "portal"
    BACK_END = "back-end-port"


class Role(StrEnum):
    """What stands at a place: one of our doors, the mail server behind them, or a port that was looked at."""

    DOOR = "door"
    UPSTREAM = "server"
    FOUND = "port"


@dataclass(frozen=True, slots=True)
class Place:
    """One address. ``unix`` (``@name``: abstract) replaces ``host`` and ``port``. ``tls`` says what may be tried:
    TLS from the first byte, or else plaintext and the protocol's own command."""

    name: str
    listener: Listener
    role: Role
    host: str = ""
    port: int = 0
    unix: str = ""
    implicit: bool = False
    server_name: str = ""
    ca: str = ""
    pin: str = ""

    @property
    def address(self) -> str:
        """For people."""
        if self.unix:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def door(self) -> DoorKind:
        """The kind of door whose floor holds here: a way past us needs no less."""
        return self.listener.door


@dataclass(frozen=True, slots=True)
class Login:
    """What is presented. ``secret`` is a password, a device secret or a token."""

    name: str
    secret: str = field(default="", repr=False)
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One HTTP request of an attempt at a web door. ``target`` goes out as it stands; ``host`` is the Host header (more
    than one with a comma between them), ``sni`` the name in the handshake (empty: none), ``tls`` False: in plaintext.
    ``certificate``: with a client certificate that nobody registered."""

    method: str
    target: str
    host: str
    sni: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    tls: bool = True
    certificate: bool = False

    @property
    def shown(self) -> str:
        """For people."""
        return f"{self.method} {self.host}{self.target}"[:MAX_SAID]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. ``credential`` names what is presented, ``rung`` what it proves, ``rule`` the kind of side door that
    entering means. ``control``: this one is to enter; where it does not, the rest proves little. ``asks`` are the
    requests of a web attempt, in their order and with one jar of cookies, ``kind_of_door`` the web door that they are
    for; ``severity`` is the most that entering can mean. ``expects`` are headers (names in lower case) that the last
    answer must have."""

    place: Place
    path: Path
    kind: Kind
    mechanism: str
    credential: str
    login: Login
    rung: Rung
    floor: Rung
    rule: str
    title: str
    control: bool = False
    nonce: str = ""
    mailbox: str = ""  # the canary's address
    foreign: str = ""  # somebody else's address, for senders and recipients
    asks: tuple[Ask, ...] = ()
    kind_of_door: DoorKind | None = None
    severity: Severity = Severity.CRITICAL
    expects: tuple[tuple[str, str], ...] = ()

    @property
    def door(self) -> DoorKind:
        """The kind of door that it knocks at."""
        return self.kind_of_door or self.place.door


@dataclass(frozen=True, slots=True)
class Reply:
    """How a talk ended. ``rule`` and ``title`` replace the attempt's where the way in was another one."""

    outcome: Outcome
    said: str = ""
    rule: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What was tried and what came of it."""

    attempt: Attempt
    reply: Reply
    at: float = 0.0

    @property
    def side_door(self) -> bool:
        """True where somebody is in who should not be."""
        return self.reply.outcome is Outcome.ENTERED and (not self.attempt.control or bool(self.reply.rule))

    def plain(self) -> dict[str, object]:
        """As JSON. No secret is in it."""
        a = self.attempt
        return {
            "where": a.place.name,
            "address": a.place.address,
            "path": a.path.value,
            "tried": a.kind.value,
            "mechanism": a.mechanism,
            "credential": a.credential,
            "outcome": self.reply.outcome.value,
            "rung": a.rung.word,
            "floor": a.floor.word,
            "control": a.control,
            "said": self.reply.said,
            "door": a.door.value,
            "rule": self.reply.rule or a.rule,
            "requests": [ask.shown for ask in a.asks],
        }


# What a talk wants next. A line is asked for with HEAR and given with its line ending; b"" where the connection
# has ended. SECURE begins TLS and gives b"ok", or b"" where that failed.


@dataclass(frozen=True, slots=True)
class Say:
    """Send these octets."""

    data: bytes = field(repr=False)


class Want(StrEnum):
    """Wait for something."""

    HEAR = "hear"
    SECURE = "secure"


Step = Say | Want
Talk = Generator[Step, bytes, Reply]
Lines = Generator[Step, bytes, "list[bytes]"]
HEAR, SECURE = Want.HEAR, Want.SECURE


def shown(line: bytes) -> str:
    """A server's line for the record: printable, short."""
    text = line.decode("utf-8", "replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text)[:MAX_SAID]


def refused(line: bytes = b"") -> Reply:
    """It said no, or hung up."""
    return Reply(Outcome.REFUSED, shown(line) or "the connection was closed")


def entered(line: bytes, rule: str = "", title: str = "") -> Reply:
    """Somebody is in."""
    return Reply(Outcome.ENTERED, shown(line), rule, title)


def silent() -> Reply:
    """It hung up before it said anything."""
    return Reply(Outcome.CANNOT_SAY, "closed without a greeting")


def cannot_say(why: str) -> Reply:
    """It answered, but neither yes nor no."""
    return Reply(Outcome.CANNOT_SAY, why[:MAX_SAID])


def no_tls(attempt: Attempt) -> Reply:
    """TLS did not begin. Behind an injected command that is a refusal: the command spoiled the handshake."""
    if attempt.kind is Kind.INJECTION:
        return Reply(Outcome.REFUSED, "TLS does not begin with it")
    return cannot_say("TLS could not be begun")


def not_offered(line: bytes) -> Reply:
    """There is no such way here."""
    return Reply(Outcome.NOT_OFFERED, shown(line))


Declared = Callable[[Record], str]


def side_doors(
    records: Iterable[Record], organisation: str, now: float, declared: Declared = lambda record: ""
) -> Sequence[Finding]:
    """One finding for each kind of side door at each place, the worst first. ``declared`` says, where the policy
    itself opens this, what opens it and until when."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.side_door:
            rule = record.reply.rule or record.attempt.rule
            groups.setdefault((record.attempt.place.name, rule), []).append(record)
    findings = [
        _finding(place, rule, group, organisation, now, declared) for (place, rule), group in groups.items()
    ]
    return sorted(findings, key=lambda f: (-f.severity, f.asset_name, f.rule))


def _finding(
    place: str, rule: str, group: list[Record], organisation: str, now: float, declared: Declared
) -> Finding:
    first = group[0]
    attempt = first.attempt
    openings = [declared(record) for record in group]
    most = max(record.attempt.severity for record in group)
    severity = min(most, Severity.HIGH) if all(openings) else most
    said = "; ".join(dict.fromkeys(o for o in openings if o))
    how = ", ".join(dict.fromkeys(_how(r.attempt) for r in group))
    reason = (
        f"At {attempt.place.address} ({place}) {attempt.credential} came in ({how}); the floor there is "
        f"{attempt.floor.word}."
    )
    if said:
        reason += f" The policy declares it: {said}."
    return Finding(
        id="walk-" + blake2b(f"{organisation}\0{place}\0{rule}".encode(), digest_size=8).hexdigest(),
        organisation=organisation,
        asset_kind="door" if attempt.place.role is Role.DOOR else "server",
        asset_name=place,
        rule=rule,
        title=first.reply.title or attempt.title,
        severity=severity,
        reason=reason,
        first_seen=now,
        last_seen=now,
        evidence=tuple(
            Evidence(
                source="guard walk",
                locator=_locator(r.attempt),
                excerpt=r.reply.said,
                at=r.at,
            )
            for r in group[:20]
        ),
        remedy=_remedy(attempt.place, rule, bool(said)),
    )


def _how(attempt: Attempt) -> str:
    if attempt.asks:
        return f"{attempt.mechanism}, {attempt.asks[-1].shown}"
    return f"{attempt.mechanism} over {attempt.path}"


def _locator(attempt: Attempt) -> str:
    shown = " then ".join(ask.shown for ask in attempt.asks)
    where = f"{attempt.place.address} {attempt.path} {attempt.mechanism} {attempt.credential}"
    return f"{where} {shown}".strip()[:400]


def _remedy(place: Place, rule: str, declared: bool) -> tuple[str, ...]:
    if declared:
        return ("End what opens it: gambeson guard mode, gambeson policy, or gambeson guard open --close.",)
    if place.role is Role.DOOR:
        return (
            "Close this listener until it is understood (listen." + place.listener.value + ' = "").',
            "Report it as SECURITY.md says: a door of ours must not do this.",
        )
    return (
        f"Let {place.address} answer nobody but the doors: bind it to a private address or a Unix socket, or close "
        "the port in the firewall.",
        "gambeson guard export dovecot and gambeson guard export postfix print settings that do it."
        if place.listener is not Listener.HTTPS
        else "Behind a web door nothing but the door may speak to it (docs/doors-web.md).",
        f"Then walk again: this is rule {rule}.",
    )


def untried(records: Iterable[Record]) -> Sequence[str]:
    """What could not be told, a sentence for each place and cause; and controls that did not enter."""
    causes: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        outcome = record.reply.outcome
        if outcome in (Outcome.UNREACHABLE, Outcome.CANNOT_SAY):
            key = (record.attempt.place.name, record.reply.said)
            causes.setdefault(key, []).append(record)
        elif record.attempt.control and outcome is not Outcome.ENTERED:
            key = (record.attempt.place.name, f"the canary's own device did not get in: {record.reply.said}")
            causes.setdefault(key, []).append(record)
    return [
        f"{place} ({group[0].attempt.place.address}): {why} ({_things(group)})"
        for (place, why), group in causes.items()
    ]


def _things(group: list[Record]) -> str:
    what = list(dict.fromkeys(f"{r.attempt.mechanism} with {r.attempt.credential}" for r in group))
    more = f" and {len(what) - 3} more" if len(what) > 3 else ""
    return ", ".join(what[:3]) + more
