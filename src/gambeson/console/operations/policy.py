"""The access policy of an organisation: read, looked over, tried on what was recorded, saved, put in force.

Rules, and they hold for pages and the API alike:

- A text that is no policy is not saved, just as ``gambeson policy set`` does not; anything else may be. What comes in
  below a floor is shown, and stops nobody: floors hold below the policy.
- Version 0 is the policy that Gambeson brings. It holds where no version of an organisation's own is in force.
- What is looked at is this organisation alone: a snapshot with nobody else in it, so that no answer can tell of others.
- Saving, putting in force and going back need the verb ``policy`` and a passkey that was shown just now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from gambeson.console.core.policy_diff import Difference, difference
from gambeson.console.core.what_if import WhatIf, replay
from gambeson.console.office import Office, RefusedError, Told
from gambeson.guard.core.decide import decide
from gambeson.guard.core.explain import explain as explain_decision
from gambeson.guard.core.modes import in_force
from gambeson.guard.core.policy_toml import PolicyError, Problem, lint, parse_policy
from gambeson.guard.core.prove import Proof
from gambeson.guard.core.prove import prove as prove_policy
from gambeson.guard.data import default_policy_text
from gambeson.model.access import AccessRequest, DoorKind, Mode, Rung
from gambeson.model.decision import Decision
from gambeson.model.rule import Policy
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.staff import Verb
from gambeson.store.policy import MAX_POLICY, PolicySource, PolicyVersion

from .memory import remembered
from .policy_ground import SignIns, Step, TooMuchError, own_index, with_policy

DAYS = 14
MAX_EVENTS = 50_000
IN_REQUEST = 5_000  # events that a page looks at while somebody waits
PROVEN_IN_REQUEST = 50_000  # combinations
PAGE = 50
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Some versions without their texts, the newest first; how many there are; which is in force (0: Gambeson's)."""

    versions: Sequence[PolicyVersion]
    total: int
    active: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A text looked over: all errors and warnings in the order of the file, and what it means where it is a policy."""

    problems: tuple[Problem, ...]
    policy: Policy | None

    @property
    def good(self) -> bool:
        """Whether it may be saved."""
        return self.policy is not None


@dataclass(frozen=True, slots=True)
class Saved:
    """The version that is in force now (0: the policy that Gambeson brings), and who acts on it."""

    version: int
    told: Told


@dataclass(frozen=True, slots=True)
class Looked:
    """What the proposed policy would have meant. ``since`` is where the record was begun with, ``oldest`` the oldest
    sign-in that was looked at (0: none); ``more``: there were older ones. ``enforce``: as if every door enforced."""

    result: WhatIf
    since: float
    oldest: float
    more: bool
    enforce: bool
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door would decide, and every floor and rule that was asked with what it said."""

    decision: str
    rule: str
    reason: str
    sentence: str
    demanded: str
    mode: str
    passes: bool
    as_is: bool
    trace: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer of the policy in force, and of the proposed one where there is one."""

    now: Answer
    proposed: Answer | None


# -- reading


def get_active(office: Office, organisation: str) -> PolicySource:
    """The version in force with its text; version 0 where it is Gambeson's. Raises RefusedError."""
    found = office.organisation(organisation).policies.active()
    return found if found is not None else _default(organisation)


def get_version(office: Office, organisation: str, version: int) -> PolicySource:
    """A version with its text. Raises RefusedError, NotFound."""
    org = office.organisation(organisation)
    return org.policies.get(version) if version else _default(organisation)


def versions(office: Office, organisation: str, *, offset: int = 0, limit: int = PAGE) -> VersionPage:
    """The versions. Raises RefusedError."""
    policies = office.organisation(organisation).policies
    found, total = policies.history(offset=offset, limit=limit)
    return VersionPage(found, total, policies.active_number())


def meaning(office: Office, organisation: str) -> Policy:
    """The policy in force as the doors have it, with the modes of the doors. Raises RefusedError."""
    office.organisation(organisation)
    return office.index().policy.get(organisation, Policy(organisation))


def observing(office: Office, organisation: str) -> tuple[DoorKind, ...]:
    """Doors that do not enforce now, for some or for all. Raises RefusedError."""
    modes = meaning(office, organisation).modes
    return tuple(
        d for d in DoorKind if any(m.door is d and in_force(m, office.at) is not Mode.ENFORCE for m in modes)
    )


def bypassed(office: Office, organisation: str) -> bool:
    """Whether the emergency bypass is open. Raises RefusedError."""
    office.organisation(organisation)
    return office.index().bypass_until.get(organisation, 0.0) > office.at


def check(office: Office, organisation: str, text: str) -> Checked:
    """Looks a text over. Raises RefusedError."""
    office.organisation(organisation)
    text = plain_lines(text)
    problems = lint(text, organisation, office.at, _country_table(office))
    bad = any(problem.error for problem in problems)
    return Checked(problems, None if bad else parse_policy(text, organisation))


def diff(office: Office, organisation: str, older: int, newer: int) -> Difference:
    """What differs between two versions; 0 is the policy that Gambeson brings. Raises RefusedError, NotFound."""
    return difference(
        get_version(office, organisation, older).source, get_version(office, organisation, newer).source
    )


# -- trying


def what_if(
    office: Office,
    organisation: str,
    text: str,
    *,
    enforce: bool = False,
    days: int = DAYS,
    most: int = MAX_EVENTS,
    strict: bool = False,
    step: Step | None = None,
) -> Looked:
    """The recorded sign-ins of the last days put to the policy in force and to ``text``. At most ``most`` are read, the
    newest; ``strict`` raises TooMuchError where there are more. ``step`` is told how many were read. Raises
    RefusedError: 422 where the text is no policy."""
    org = office.organisation(organisation)
    now = own_index(office, organisation)
    proposed = with_policy(now, organisation, _parsed(office, organisation, text))
    since = office.at - min(max(1, days), 366) * 86400.0
    read = SignIns(org.events, since, min(most, MAX_EVENTS), strict, step)
    result = replay(read, now, proposed, organisation, office.at, enforce)
    return Looked(result, since, read.oldest, read.more, enforce, office.at)


def prove(
    office: Office,
    organisation: str,
    text: str | None = None,
    *,
    most: int = PROVEN_IN_REQUEST,
    step: Step | None = None,
) -> Proof:
    """Walks the whole policy: what comes in below its floor? Of ``text``, or of the policy in force. Raises
    RefusedError (422: no policy), and TooMuchError after ``most`` combinations (0: no end)."""
    office.organisation(organisation)
    index = own_index(office, organisation)
    if text is not None:
        index = with_policy(index, organisation, _parsed(office, organisation, text))
    counted = 0

    def counting(request: AccessRequest, index: SnapshotIndex, at: float) -> Decision:
        nonlocal counted
        counted += 1
        if most and counted > most:
            raise TooMuchError
        if step is not None and not counted % 1_000:
            step(counted)
        return decide(request, index, at)

    return prove_policy(index, organisation, office.at, counting)


def proof_in_force(office: Office, organisation: str) -> Proof | None:
    """The proof of the policy in force, remembered for an hour; None where it takes longer than a page may. Raises
    RefusedError."""
    office.organisation(organisation)
    store = office.world.store

    def make() -> Proof | None:
        try:
            return prove(office, organisation)
        except TooMuchError:
            return None

    return remembered(store, ("proof", organisation, store.change_counter()), office.at, _HOUR, make)


def explain(
    office: Office,
    organisation: str,
    *,
    door: str,
    account: str,
    rung: str = "",
    device: str = "",
    source: str = "",
    country: str = "",
    risk: int = 0,
    text: str | None = None,
) -> Explained:
    """What a door would decide, by the policy in force and by ``text``. Raises RefusedError, 422 with one sentence for
    what cannot be asked."""
    office.organisation(organisation)
    index = own_index(office, organisation)
    try:
        where = DoorKind(door)
    except ValueError:
        raise _unasked(f"{door[:40]!a} is no door; known are {', '.join(DoorKind)}") from None
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise _unasked(f"{country[:20]!a} is no country code; write two letters such as DE")
    if not 0 <= risk <= 100:
        raise _unasked("A risk is a number from 0 to 100")
    try:
        how = Rung.from_word(rung) if rung else None
        source = str(ip_address(source)) if source else ""
        asked = (where, account, how, device, source, country, risk)
        now = _answer(explain_decision(index, office.at, *asked))
        if text is None:
            return Explained(now, None)
        proposed = with_policy(index, organisation, _parsed(office, organisation, text))
        return Explained(now, _answer(explain_decision(proposed, office.at, *asked)))
    except ValueError as error:
        raise _unasked(str(error)) from None


# -- changing


def add_version(
    office: Office, organisation: str, text: str, *, note: str = "", expected: int | None = None
) -> Saved:
    """Saves a text as a new version and puts it in force. ``expected`` is the version that the asker saw in force:
    where another one is by now, nothing is changed. Raises RefusedError (409: another is in force; 422: no policy),
    StepUpError, BadValue."""
    org = office.organisation(organisation, Verb.POLICY)
    office.fresh()
    text = plain_lines(text)
    _parsed(office, organisation, text)
    if expected is not None and org.policies.active_number() != expected:
        raise RefusedError(
            "changed",
            "Somebody put another version in force meanwhile: look at the difference, then save again.",
        )
    stored = org.policies.add(text, note=note.strip(), by=office.by, at=office.at)
    return Saved(stored.version, office.publish())


def activate(office: Office, organisation: str, version: int) -> Saved:
    """Puts an earlier (or later) version in force again. Raises RefusedError (409: it is no policy any more),
    StepUpError, NotFound."""
    org = office.organisation(organisation, Verb.POLICY)
    office.fresh()
    try:
        parse_policy(org.policies.get(version).source, organisation)
    except PolicyError as error:
        raise RefusedError(
            "bad-policy",
            f"Version {version} is no valid policy any more: line {error.line}: {error.text}. Nothing was changed.",
        ) from None
    org.policies.activate(version, by=office.by, at=office.at)
    return Saved(version, office.publish())


def reset(office: Office, organisation: str) -> Saved:
    """Puts the policy that Gambeson brings in force; the versions stay. Raises RefusedError, StepUpError."""
    org = office.organisation(organisation, Verb.POLICY)
    office.fresh()
    org.policies.reset(by=office.by, at=office.at)
    return Saved(0, office.publish())


def plain_lines(text: str) -> str:
    """The text with line feeds only: a browser's form sends carriage returns too. Raises RefusedError(422) where it is
    larger than a policy may be."""
    text = text.replace("\r\n", "\n")
    if len(text) > MAX_POLICY:
        raise RefusedError(
            "too-large", f"A policy has at most {MAX_POLICY} characters. Nothing was changed.", 422
        )
    return text


# -- parts


def _default(organisation: str) -> PolicySource:
    return PolicySource(organisation, 0, default_policy_text())


def _parsed(office: Office, organisation: str, text: str) -> Policy:
    """What a text means, with the modes that are set at the doors. Raises RefusedError(422)."""
    try:
        policy = parse_policy(plain_lines(text), organisation)
    except PolicyError as error:
        raise RefusedError(
            "bad-policy", f"Line {error.line}, column {error.column}: {error.text}. Nothing was changed.", 422
        ) from None
    modes = office.organisation(organisation).modes.list()
    return replace(policy, modes=(*policy.modes, *modes))


def _answer(found: dict[str, Any]) -> Answer:
    given = {name: found[name] for name in Answer.__slots__ if name != "trace"}
    return Answer(**given, trace=tuple((each["asked"], each["said"]) for each in found["trace"]))


def _unasked(sentence: str) -> RefusedError:
    sentence = sentence.partition("; see 'gambeson")[0].removesuffix(".")
    return RefusedError("unasked", f"{sentence[:1].upper()}{sentence[1:]}.", 422)


def _country_table(office: Office) -> bool:
    return any(row.name == "doors.country_table" and row.value for row in office.facts.settings)
