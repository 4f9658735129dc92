"""Somebody leaves: one act ends account, devices, phones, sessions and second factors, in the order of the plan
(``core/leaver.py``), and then every door is told.

Rules: nothing is deleted; each step is an entry of the audit log. First nothing new gets in, then what is open ends. An
act that broke off is done again: what ended already is not in the plan any more. Afterwards it is said which doors did
not say yet that they act on it, and what is left for a person.
"""

from __future__ import annotations

from dataclasses import dataclass

from gambeson.console.core.leaver import LeaverPlan, StepKind, leaver
from gambeson.console.office import Office, Told
from gambeson.model.asset import Account
from gambeson.model.staff import Verb
from gambeson.store.tenant import OrganisationStore

from .people import EasPhone, kill, mail_sessions, phones

REASON = "left"


@dataclass(frozen=True, slots=True)
class Leaving:
    """What will end. ``phones`` are the ActiveSync phones that are not blocked yet; ``doors_known``: the worker said
    which sessions are open at the doors."""

    account: Account
    plan: LeaverPlan
    phones: tuple[EasPhone, ...]
    doors_known: bool

    @property
    def nothing(self) -> bool:
        """Whether all of it has ended already."""
        return self.plan.done_already and not self.phones


@dataclass(frozen=True, slots=True)
class Left:
    """What ended, and what is left. ``killed`` None: the worker does not answer; then the doors close the sessions when
    they hear of the change."""

    before: Leaving
    told: Told
    killed: int | None


def plan(office: Office, organisation: str, account: str) -> Leaving:
    """What will end, exactly. Raises RefusedError, NotFound."""
    store = office.organisation(organisation, Verb.PEOPLE)
    return _plan(office, store, organisation, account)


def leave(office: Office, organisation: str, account: str) -> Left:
    """Ends all of it. Raises RefusedError, StepUpError, NotFound."""
    store = office.organisation(organisation, Verb.PEOPLE)
    office.fresh()
    before = _plan(office, store, organisation, account)
    for step in before.plan.to_do:
        _do(office, store, account, step.kind, step.target)
    for phone in before.phones:
        store.eas_devices.decide(account, phone.device_id, "blocked", by=office.by, at=office.at)
    told = office.publish()
    return Left(before, told, kill(office, organisation, account))


def _plan(office: Office, store: OrganisationStore, organisation: str, account: str) -> Leaving:
    who = store.accounts.get(account)
    open_ones = mail_sessions(office, organisation, account)
    made = leaver(
        who,
        store.devices.list(account=account),
        web_sessions=len(store.web_sessions.list(account, office.at)),
        mail_sessions=len(open_ones or ()),
        second_factors=len(store.authenticators.list(account)),
        codes=int(store.binding_codes.pending(account, office.at) > 0),
        policy=office.index().policy.get(organisation),
    )
    allowed = tuple(p for p in phones(store, account) if p.decision != "blocked")
    return Leaving(who, made, allowed, open_ones is not None)


def _do(office: Office, store: OrganisationStore, account: str, kind: StepKind, target: str) -> None:
    by, at = office.by, office.at
    match kind:
        case StepKind.DISABLE:
            store.accounts.update(account, enabled=False, by=by, at=at)
        case StepKind.END_WEB_SESSIONS:
            store.web_sessions.end(account, reason=REASON, by=by, at=at)
        case StepKind.BLOCK_DEVICE:
            store.devices.revoke(target, reason=REASON, by=by, at=at)
        case StepKind.REMOVE_FACTORS:
            store.authenticators.remove_all(account, by=by, at=at)
        case StepKind.VOID_CODES:
            store.binding_codes.void(account, by=by, at=at)
        case StepKind.FORGET_PASSWORD:
            store.accounts.seal_password(account, b"", by=by, at=at)
        case _:  # sessions at the doors end when the doors were told; the rest is a person's
            pass
