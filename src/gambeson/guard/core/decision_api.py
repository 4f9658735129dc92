"""The decision API: the doors' own decision, for those who keep their own engine.

Two questions, one ``decide``:

- *nginx* asks with ``auth_request``. It shows the whole head of a request, so the answer is the native door's, and
  :func:`sub_answer` only puts the verdict into headers. What a verdict needs and nginx cannot carry out is refused.
- *Dovecot* asks with ``auth_policy``. It shows a name and an address, never a device's secret or certificate, so
  nothing can be proven to us. The floors and the rules that refuse are asked (:func:`policy_decision`); how strongly
  the client proved itself is Dovecot's business, and a password alone does pass there. On top: waiting after failures
  (:func:`tarpit`), also where one source tries many names (:class:`Attempts`).

Pure: time is an argument.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gambeson.model.access import AccessRequest, DoorKind, Identity, Mode, Rung
from gambeson.model.address import canonical
from gambeson.model.decision import Decision, Opinion
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import WebRequest
from gambeson.wire.auth_policy import PolicyAsk
from gambeson.wire.cookies import for_upstream

from .decide import CLOUD_REFUSED, decide
from .floors import QUARANTINE, RUNG
from .identify import only_domain
from .web.verdict import Answer, Forward

DOORS = {
    "imap": DoorKind.IMAP,
    "pop3": DoorKind.POP3,
    "smtp": DoorKind.SUBMISSION,
    "submission": DoorKind.SUBMISSION,
    "sieve": DoorKind.SIEVE,
    "managesieve": DoorKind.SIEVE,
}
NOT_JUDGED = "proof-not-judged"  # how strongly the client proved itself, the engine did not show
LOOPBACK = ("127.", "::1")

FREE = 3  # failures in a day before anybody waits
MOST_SECONDS = 8  # of waiting: an engine may ask twice for one sign-in
SPRAY_NAMES = 10  # names that failed from one source in an hour
_SPRAY_SECONDS = 3600.0
_MOST_SOURCES = 4096
_MOST_OPEN = 20_000
_OPEN_SECONDS = 120.0
_ID_PAIR = re.compile(r'"(name|version)" "([^"]*)"')


# -- Dovecot


def policy_facts(
    ask: PolicyAsk, index: SnapshotIndex, default_domain: str = "", *, country: str = "", risk: int = 0
) -> AccessRequest | None:
    """The facts of a question; None for a protocol that is no door of ours. Nothing in them is proven. A connection of
    the machine itself crosses no network, so it counts as encrypted."""
    door = DOORS.get(ask.protocol)
    if door is None:
        return None
    name = claimed(ask.login, index, default_domain)
    organisation = index.organisation_by_domain.get(name.rpartition("@")[2])
    identity = Identity(name, organisation.id if organisation is not None else "")
    return AccessRequest(
        door,
        identity,
        ask.remote,
        encrypted=ask.tls or ask.remote.startswith(LOOPBACK),
        country=country,
        risk=risk,
    )


def claimed(login: str, index: SnapshotIndex, default_domain: str = "") -> str:
    """The canonical address that the login names; empty for none."""
    domain = default_domain or only_domain(index)
    try:
        return canonical(login if "@" in login or not domain else f"{login}@{domain}")
    except ValueError:
        return ""


def policy_decision(
    access: AccessRequest, index: SnapshotIndex, now: float, max_age: float = math.inf
) -> Decision:
    """What the policy says of a sign-in whose proof nobody showed us. Raises nothing.

    ``decide`` is asked as if the named account had been proven as far as a person can without a device. A floor, a
    rule or the organisation's word on clouds that *denies* even then is the answer. Everything else
    (too low a rung, a device's state, no rule) depends on the proof, and is let go on with the reason
    ``proof-not-judged``.
    """
    account = index.account_by_address.get(access.identity.claimed)
    supposed = access
    if account is not None:
        proven = Identity(
            access.identity.claimed, account.organisation, account.id, rung=Rung.KNOWLEDGE_AND_CODE
        )
        supposed = replace(access, identity=proven)
    decision = decide(supposed, index, now, max_age=max_age)
    hard = decision.rule.startswith("floor:") and decision.rule not in (RUNG, QUARANTINE)
    by_rule = decision.reason in ("rule", CLOUD_REFUSED) and decision.opinion is Opinion.DENY
    if decision.passes or hard or by_rule:
        return decision
    return replace(decision, opinion=Opinion.ALLOW, reason=NOT_JUDGED, mode=Mode.ENFORCE, as_is=True)


def client_name(device_id: str) -> str:
    """Name and version from IMAP's ID (RFC 2971) as Dovecot hands it on (``"name" "..." "version" "..."``); any other
    text stays itself."""
    pairs = dict(_ID_PAIR.findall(device_id))
    return " ".join(pairs[key] for key in ("name", "version") if pairs.get(key)) or device_id


def shown(decision: Decision) -> str:
    """What the person is shown: only sentences that are the same for every name, known or made up. A rule may know the
    account, and nobody has proven to be it."""
    return decision.sentence if decision.reason in ("throttled", "snapshot-stale", "not-encrypted") else ""


def tarpit(failures: int, known_network: bool, spraying: bool) -> int:
    """Seconds to wait. Nobody waits at a network from which the account signed in lately: what others do elsewhere is
    not theirs to feel."""
    if known_network:
        return 0
    return MOST_SECONDS if spraying else min(MOST_SECONDS, max(0, failures - FREE + 1))


@dataclass(slots=True)
class _Source:
    since: float
    names: set[int] = field(default_factory=set)


class Attempts:
    """Sign-ins between *allow* and *report*, and the names that failed from one source. Bounded, whatever is made up.

    An engine asks *allow* up to twice for one sign-in, and reports once: each is counted once. What is forgotten stays
    counted, which is the stricter side.
    """

    def __init__(self, most: int = _MOST_OPEN) -> None:
        self._most = most
        self._open: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    @staticmethod
    def key(ask: PolicyAsk) -> tuple[str, ...]:
        """What one sign-in is known by."""
        return ask.session_id, ask.protocol, ask.login, ask.remote, ask.pwhash

    def counted(self, ask: PolicyAsk, now: float) -> bool:
        """Whether an *allow* asks about a sign-in that was counted already. One without a session or a hash is always
        a new one: it could be another guess."""
        if not ask.session_id or not ask.pwhash:
            return False
        at = self._open.get(self.key(ask))
        return at is not None and now - at < _OPEN_SECONDS

    def begun(self, ask: PolicyAsk, now: float) -> None:
        """A sign-in was counted and is under way."""
        self._open[self.key(ask)] = now
        self._open.move_to_end(self.key(ask))
        while len(self._open) > self._most:
            self._open.popitem(last=False)

    def ended(self, ask: PolicyAsk) -> bool:
        """Whether it was under way. It no longer is."""
        return self._open.pop(self.key(ask), None) is not None

    def failed(self, source: str, name: str, now: float) -> bool:
        """A sign-in failed. True where with this name ``source`` has become one that tries many."""
        found = self._sources.get(source)
        if found is None or not 0 <= now - found.since < _SPRAY_SECONDS:
            found = self._sources[source] = _Source(now)
        self._sources.move_to_end(source)
        while len(self._sources) > _MOST_SOURCES:
            self._sources.popitem(last=False)
        before = len(found.names)
        if before < SPRAY_NAMES:
            found.names.add(hash(name))
        return before < SPRAY_NAMES <= len(found.names)

    def spraying(self, source: str, now: float) -> bool:
        """Whether many names failed from there in the last hour."""
        found = self._sources.get(source)
        return (
            found is not None and 0 <= now - found.since < _SPRAY_SECONDS and len(found.names) >= SPRAY_NAMES
        )


# -- nginx


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What the listener sends. ``wait`` seconds pass before; ``close``: the connection ends with it."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    close: bool = False
    wait: float = 0.0


_PASSED = frozenset(("authorization", "cookie"))
_SCHEMES = frozenset(("basic", "bearer"))
MAX_COOKIES = 3  # of our own, in one answer


def sub_answer(verdict: Forward | Answer, request: WebRequest, unbound_cookies: bool = False) -> ApiAnswer:
    """204 with what nginx is to send upstream, 401 with what the client is to be told, else 403.

    ``unbound_cookies``: people at browsers may pass too, although nginx cannot keep one person's cookies of an
    application from the next person at the same browser. Where a verdict needs what nginx cannot do, the answer is
    403: a header of the site's own (trusted-header sign-in), another scheme than Basic or Bearer passed on, whose proof
    would belong to a connection.
    """
    if isinstance(verdict, Answer):
        return _refused(verdict)
    headers = dict(verdict.headers)
    if not _PASSED.issuperset(headers):
        return _cannot("header-sign-in")
    authorization = headers.get("authorization", "")
    if verdict.authorization and not authorization:
        authorization = request.header("authorization")
    if authorization and authorization.partition(" ")[0].lower() not in _SCHEMES:
        return _cannot("connection-authentication")
    cookie = headers.get("cookie", "")
    if verdict.set_cookie is not None:
        if not unbound_cookies:
            return _cannot("cookies-not-bound")
        cookie = for_upstream(request.cookies)
    if len(verdict.cookies) > MAX_COOKIES:
        return _cannot("too-many-cookies")
    said: list[tuple[str, str]] = [("x-gambeson-rule", verdict.rule)]
    if verdict.access is not None:
        identity = verdict.access.identity
        said += [
            ("x-gambeson-user", identity.claimed),
            ("x-gambeson-device", identity.device),
            ("x-gambeson-rung", identity.rung.word),
        ]
    said += [("x-gambeson-authorization", authorization), ("x-gambeson-upstream-cookie", cookie)]
    return ApiAnswer(204, (*_filled(said), *_cookies(verdict.cookies)))


def _refused(answer: Answer) -> ApiAnswer:
    """What auth_request can carry on: 401 or 403. A redirect to the portal is a 401 with its address; a fault of ours
    is one for nginx too, which then passes nothing (503 from us becomes 500 there)."""
    named = dict(answer.headers)
    if answer.status in (301, 302, 303, 307, 308) and "location" in named:
        cookies = [value for name, value in answer.headers if name == "set-cookie"]
        if len(cookies) > MAX_COOKIES:
            return _cannot("too-many-cookies")
        said = (("x-gambeson-location", named["location"]), ("x-gambeson-reason", answer.reason))
        return ApiAnswer(401, (*_filled(said), *_cookies(cookies)))
    if answer.status == 401:
        challenge = named.get("www-authenticate", "")
        said = (("www-authenticate", challenge), ("x-gambeson-reason", answer.reason))
        return ApiAnswer(401, tuple(_filled(said)), wait=answer.wait)
    if answer.status >= 500:
        return ApiAnswer(503, tuple(_filled((("x-gambeson-reason", answer.reason),))), wait=answer.wait)
    return ApiAnswer(403, tuple(_filled((("x-gambeson-reason", answer.reason),))), wait=answer.wait)


def _cannot(reason: str) -> ApiAnswer:
    return ApiAnswer(403, (("x-gambeson-reason", f"not-through-nginx {reason}"),))


def _cookies(values: Iterable[str]) -> Iterable[tuple[str, str]]:
    return [(f"x-gambeson-set-cookie-{number}", value) for number, value in enumerate(values, 1)]


def _filled(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if value]
