"""Which role may do what. One table; everything else asks it.

Rules: a grant that is over counts for nothing; a responder's grant without an end counts for nothing; a session by
break-glass may contain and read, and neither registers a device nor edits the policy, whatever the roles say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gambeson.model.staff import EVERY, Grant, Role, Verb

_READING = frozenset((Verb.READ, Verb.AUDIT))
VERBS_OF: Mapping[Role, frozenset[Verb]] = {
    Role.OWNER: frozenset(Verb),
    Role.TECHNICIAN: frozenset(Verb) - {Verb.STAFF, Verb.ORGANISATIONS},
    Role.AUDITOR: _READING,
    Role.RESPONDER: _READING | {Verb.CONTAIN, Verb.FINDINGS},
}
# Until a passkey is bound (it takes a first-run link or an invitation to bind one).
BREAK_GLASS = _READING | {Verb.CONTAIN, Verb.FINDINGS, Verb.DOORS, Verb.STAFF}


def alive(grant: Grant, now: float) -> bool:
    """Whether a grant counts at ``now``."""
    if grant.role is Role.RESPONDER and not grant.until:
        return False
    return not grant.until or now < grant.until


def verbs(grants: Iterable[Grant], organisation: str, now: float) -> frozenset[Verb]:
    """What these grants allow in an organisation (its id). :data:`EVERY` asks for the installation as a whole: only a
    grant for every organisation answers that."""
    found: frozenset[Verb] = frozenset()
    for grant in grants:
        if grant.organisation in (EVERY, organisation) and alive(grant, now):
            found |= VERBS_OF[grant.role]
    return found


def everywhere(grants: Iterable[Grant], now: float) -> bool:
    """Whether one of these grants is for every organisation."""
    return any(grant.organisation == EVERY and alive(grant, now) for grant in grants)
