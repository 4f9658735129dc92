"""What came of an attempt at a web door: whose answer it is, and whether somebody is in.

From outside only octets are seen, so the judge asks one question first: does the answer come from the door, or has the
request reached the server behind it? The door's own answers carry marks that no application sends together
(:func:`ours`). At a door an attempt that must not enter has entered as soon as the *server* answers it, whatever
it says: no request without proof reaches the mail server. Where the server then refuses, that is told as such. Past
the doors (``Role.UPSTREAM``) the server's own yes counts, compared with what it says to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gambeson.model.access import Rung

from .walk import MAX_SAID, Attempt, Kind, Outcome, Record, Reply, Role, cannot_say, entered, refused

MAX_BODY = 65536  # octets of an answer that are looked at

# Rules of the findings that only web doors have, and what entering means in a line.
WEB_RULES = {
    "session-forged": "A made-up session cookie opens it",
    "no-session": "It serves without a session",
    "reaches-server": "A request that proves nothing reaches the mail server",
    "spoofed-header": "A header that anybody can write opens it",
    "bare-header": "The application believes the trusted header without a signature, past the doors",
    "closed-path": "A path that is never open from outside reaches the mail server",
    "path-trick": "A path written in disguise reaches the mail server",
    "host-trick": "A request for another host, or without TLS, reaches the mail server",
    "device-host-pages": "A device host serves people's pages",
    "certificate-unknown": "A client certificate that nobody registered opens it",
    "shield-passed": "The shape of a known attack reaches the mail server through the door",
    "shield-past-the-doors": "The shape of a known attack reaches the mail server past the doors",
    "shield-answer-missing": "Pages come through the door without what a shield adds to them",
    "back-end-port": "The mail server's own port can be reached past the doors",
    "portal-password-alone": "The portal gives a session for a password alone",
    "portal-enrolment": "The portal registers a second factor without a binding code",
    "portal-tells-names": "The portal tells which addresses there are",
    "portal-other-page": "The portal carries out what another page asks for",
    "portal-names-session": "The portal takes a made-up session",
}
_SERVERS = (
    "server",
    "x-feserver",
    "x-beserver",
    "x-owa-version",
    "x-powered-by",
    "x-aspnet-version",
    "x-calculatedbetarget",
    "request-id",
)
_EXCHANGE = frozenset(("x-feserver", "x-beserver", "x-owa-version", "x-calculatedbetarget", "x-diaginfo"))
_LOGIN = re.compile(r"/log[io]n|/auth|/sign-?in|[?&]_task=login|reason=", re.IGNORECASE)
NAMELESS = "no name in the handshake"
REACHES = "guard.walk.reaches-server"
_PROVES = (Kind.WEB, Kind.SESSION, Kind.HEADER)
_TOO_LATE = (429, 500, 502, 503, 504)
_HELD = (400, 403, 404, 405, 414, 421, 431, 501)


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer. ``status`` 0: there was none, the connection ended (``why``). Names of headers are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    why: str = ""

    def header(self, name: str) -> str:
        """The first value; empty for none."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def said(self) -> str:
        """For the record: the status, who answered, and where it leads."""
        if not self.status:
            return self.why or "the connection was closed"
        who = "the door" if ours(self) else f"the server {self.header('server')}".strip()
        where = self.header("location").partition("?")[0]
        return f"{self.status} from {who}" + (f", to {where[:100]}" if where else "")


def ours(heard: Heard) -> bool:
    """Whether the door itself (or its portal) answered, rather than a server behind it."""
    return (
        heard.header("content-security-policy").startswith("default-src 'none'")
        and heard.header("x-content-type-options") == "nosniff"
        and not any(heard.header(name) for name in _SERVERS)
    )


def judge(attempt: Attempt, answers: Sequence[Heard]) -> Reply:
    """What it means. ``answers`` are those to ``attempt.asks``, in their order; fewer where one was not answered."""
    if not answers:
        return cannot_say("nothing was asked")
    if attempt.kind is Kind.PORTAL:
        return _at_portal(attempt, answers)
    if attempt.place.role is Role.FOUND:
        return _found(answers[-1])
    if attempt.kind is Kind.SHIELD_ANSWER:
        return _page_of(attempt, answers[-1])
    if attempt.place.role is Role.UPSTREAM:
        return _past_the_doors(attempt, answers)
    return _at_door(attempt, answers[-1])


def _at_door(attempt: Attempt, heard: Heard) -> Reply:
    said = heard.said.encode()
    if not heard.status:
        return refused(said)
    if attempt.control:
        good = not ours(heard) and heard.status not in (401, 403) and heard.status < 500
        return entered(said) if good else refused(said)
    if not ours(heard):
        if attempt.kind in _PROVES and _turned_down(heard):
            return entered(said, REACHES, WEB_RULES["reaches-server"])
        return entered(said)
    if heard.status in _TOO_LATE:
        return cannot_say(f"it said: later ({heard.said})")
    if attempt.kind is Kind.SHIELD:
        if heard.status in _HELD:
            return refused(said)
        title = "The door asks for a sign-in where it should refuse the shape of a known attack"
        return entered(said, attempt.rule, title)
    if attempt.kind is Kind.PEOPLE:
        return refused(said) if heard.status in (*_HELD, 401) else entered(said)
    return refused(said)


def _past_the_doors(attempt: Attempt, answers: Sequence[Heard]) -> Reply:
    heard = answers[-1]
    said = heard.said.encode()
    if not heard.status:
        return refused(said)
    if attempt.kind is Kind.SHIELD:
        return entered(said)
    if heard.status in _TOO_LATE:
        return cannot_say(f"it said: later ({heard.said})")
    if heard.status in (404, 405, 501):
        return Reply(Outcome.NOT_OFFERED, heard.said)
    if not _welcome(heard):
        return refused(said)
    if len(answers) > 1 and _welcome(answers[0]) and not _differs(attempt, answers[0], heard):
        return refused(b"it answers as it answers nobody in particular")
    return entered(said)


def _page_of(attempt: Attempt, heard: Heard) -> Reply:
    """A page that the server gave to somebody who is signed in: with what a shield adds to it, or without."""
    said = heard.said
    if heard.status in _TOO_LATE:
        return cannot_say(f"it said: later ({said})")
    if attempt.place.role is Role.UPSTREAM and not _welcome(heard):
        return refused(said.encode())
    if not heard.status or ours(heard):
        return cannot_say(f"the canary's session got no page of the application ({said})")
    page = heard.header("content-type").lower().startswith("text/html")
    if not 200 <= heard.status < 300 or not page:
        return Reply(Outcome.NOT_OFFERED, f"the application showed no page ({said})"[:MAX_SAID])
    lacking = [pair[0] for pair in attempt.expects if pair not in heard.headers]
    if lacking:
        return entered(f"{said}, without {', '.join(lacking)}".encode())
    return refused(f"{said}, with {', '.join(name for name, _ in attempt.expects)}".encode())


def _welcome(heard: Heard) -> bool:
    """A yes: not a page to sign in at, and no error."""
    if 300 <= heard.status < 400:
        return not _LOGIN.search(heard.header("location")) and heard.status != 304
    return 200 <= heard.status < 300 or heard.status in (449, 451)  # MS-ASHTTP section 2.2.2.1.1


def _turned_down(heard: Heard) -> bool:
    """The server wants somebody to sign in; any other answer is one to somebody."""
    return heard.status in (401, 403) or (300 <= heard.status < 400 and not _welcome(heard))


def _differs(attempt: Attempt, nobody: Heard, heard: Heard) -> bool:
    """Whether a page is somebody's, where the page for nobody is a yes as well: it leads elsewhere, or names him."""
    if nobody.status != heard.status or nobody.header("location") != heard.header("location"):
        return True
    name = attempt.mailbox.encode()
    return any(
        one and one in heard.body and one not in nobody.body for one in (name, name.partition(b"@")[0])
    )


def _found(heard: Heard) -> Reply:
    """A port that was only looked for: what is no Exchange, is nobody's business."""
    if heard.status and any(heard.header(name) for name in _EXCHANGE):
        return entered(heard.said.encode())
    return Reply(Outcome.NOT_OFFERED, heard.said)


def merged(records: Sequence[Record]) -> list[Record]:
    """Where nothing at all opens a page, everything else that proves nothing opens it as well: that is one side door,
    not one for each thing tried. Such records take the rule of the attempt with nothing."""
    bare: dict[tuple[str, str, str], Record] = {}
    for record in records:
        attempt = record.attempt
        if (
            _worthless(record)
            and attempt.credential == "nothing"
            and attempt.kind is not Kind.HOST
            and record.side_door
        ):
            bare.setdefault(_page(record), record)
    found = []
    for record in records:
        first = bare.get(_page(record)) if _worthless(record) and record.side_door else None
        if first is not None and first is not record:
            rule = first.reply.rule or first.attempt.rule
            reply = replace(record.reply, rule=rule, title=first.reply.title or first.attempt.title)
            found.append(replace(record, reply=reply))
        else:
            found.append(record)
    return found


def _worthless(record: Record) -> bool:
    attempt = record.attempt
    nameless = attempt.kind is Kind.HOST and attempt.mechanism == NAMELESS
    return (
        (attempt.kind in _PROVES or nameless)
        and attempt.place.role is Role.DOOR
        and attempt.rung is Rung.NOTHING
        and not attempt.control
    )


def _page(record: Record) -> tuple[str, str, str]:
    ask = record.attempt.asks[-1]
    return record.attempt.place.server_name, ask.method, ask.target


# -- the portal


def _at_portal(attempt: Attempt, answers: Sequence[Heard]) -> Reply:
    last = answers[-1]
    said = last.said.encode()
    if any(heard.status == 429 for heard in answers):
        # Walks of the same day have used the canary's guesses up: nobody gets in, and there is nothing to compare.
        if attempt.rule.endswith("portal-tells-names"):
            return Reply(
                Outcome.NOT_OFFERED, "the canary's guesses of the day are used up; compared on another day"
            )
        return refused(b"429: the canary's guesses of the day are used up")
    if any(heard.status in _TOO_LATE for heard in answers):
        return cannot_say(f"the portal said: later ({last.said})")
    if len(answers) < len(attempt.asks) or not last.status:
        return refused(said) if attempt.rule.endswith("other-page") else cannot_say(last.said)
    match attempt.rule.rpartition(".")[2]:
        case "portal-tells-names":
            return _same(attempt, answers)
        case "portal-other-page":
            return refused(said) if last.status == 403 else entered(said)
        case "portal-enrolment":
            return entered(said) if last.status < 400 else refused(said)
    opened = [heard for heard in answers if _session_given(heard)]
    return entered(opened[-1].said.encode()) if opened else refused(said)


def _session_given(heard: Heard) -> bool:
    """A session's cookie with a value, a code for an application, or a page that only a session shows."""
    given = [value for name, value in heard.headers if name == "set-cookie"]
    cookie = any(re.match(r"__Host-gambeson-portal=[^;\s]+", value) for value in given)
    there = "/.gambeson/enter?code=" in heard.header("location")
    return cookie or there


def _same(attempt: Attempt, answers: Sequence[Heard]) -> Reply:
    """Two answers, alike but for the names that were asked for."""
    first, second = answers[0], answers[-1]
    names = [ask.body for ask in attempt.asks]
    pages = [
        _without(heard.body, body) for heard, body in zip((first, second), (names[0], names[-1]), strict=True)
    ]
    heads = [sorted(name for name, _ in heard.headers) for heard in (first, second)]
    if first.status == second.status and heads[0] == heads[1] and pages[0] == pages[1]:
        return refused(f"{first.status} for both, alike".encode())
    what = "status" if first.status != second.status else "headers" if heads[0] != heads[1] else "page"
    return entered(f"{first.status} and {second.status}: the {what} differs".encode())


def _without(page: bytes, form: bytes) -> bytes:
    """A page without the address that the form gave."""
    name = re.search(rb"address=([^&]*)", form)
    if name is None:
        return page
    address = name[1].replace(b"%40", b"@")
    return page.replace(address, b"").replace(address.replace(b"@", b"&#64;"), b"")


__all__ = ["MAX_BODY", "WEB_RULES", "Heard", "judge", "merged", "ours"]
