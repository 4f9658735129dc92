"""Somebody leaves: one plan that ends account, devices and sessions.

Only the plan is made here, in the order in which it is carried out: first nothing new gets in, then what is open ends,
then what could open it again goes. Nothing is deleted, so a mistake is mended by switching the account on and
registering devices anew. Steps that a person must take (a rule that names the account, a mailbox to be handed over)
are in the plan too: they are told, not done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gambeson.model.address import canonical
from gambeson.model.asset import Account, Device, DeviceState
from gambeson.model.rule import Policy


class StepKind(StrEnum):
    """What a step does. ``tell-*`` steps are for a person."""

    DISABLE = "disable-account"
    END_WEB_SESSIONS = "end-web-sessions"
    END_MAIL_SESSIONS = "end-mail-sessions"
    BLOCK_DEVICE = "block-device"
    REMOVE_FACTORS = "remove-second-factors"
    VOID_CODES = "void-codes"
    FORGET_PASSWORD = "forget-sealed-password"  # noqa: S105 - the name of a step
    TELL_POLICY = "tell-policy"
    TELL_ALIASES = "tell-aliases"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``target`` is the id of what it changes (of a device, of the account), ``name`` what people call that,
    ``count`` how many things it ends. ``undoable`` says whether switching on again brings it back."""

    kind: StepKind
    target: str
    name: str = ""
    count: int = 1
    undoable: bool = False

    @property
    def by_person(self) -> bool:
        """True where a person must do it: it is told, not done."""
        return self.kind in (StepKind.TELL_POLICY, StepKind.TELL_ALIASES)


@dataclass(frozen=True, slots=True)
class LeaverPlan:
    """The steps in their order."""

    account: str
    address: str
    steps: tuple[Step, ...]

    @property
    def to_do(self) -> tuple[Step, ...]:
        """The steps that are carried out."""
        return tuple(s for s in self.steps if not s.by_person)

    @property
    def to_tell(self) -> tuple[Step, ...]:
        """The steps for a person."""
        return tuple(s for s in self.steps if s.by_person)

    @property
    def done_already(self) -> bool:
        """True where nothing is left to carry out."""
        return not self.to_do


def leaver(
    account: Account,
    devices: Iterable[Device] = (),
    *,
    web_sessions: int = 0,
    mail_sessions: int = 0,
    second_factors: int = 0,
    codes: int = 0,
    policy: Policy | None = None,
) -> LeaverPlan:
    """The plan for this account. ``devices`` may be anybody's: its own are taken. The counts are of what is open: web
    sessions and sessions at mail doors, second factors (passkeys, one-time codes), invitations and binding codes.
    ``policy`` is looked through for rules, exceptions and modes that name the account."""
    me = account.id
    steps = [Step(StepKind.DISABLE, me, account.address, undoable=True)] if account.enabled else []
    for kind, count in (
        (StepKind.END_WEB_SESSIONS, web_sessions),
        (StepKind.END_MAIL_SESSIONS, mail_sessions),
    ):
        if count > 0:
            steps.append(Step(kind, me, account.address, count))
    for device in sorted((d for d in devices if d.account == me), key=lambda d: (d.name, d.id)):
        # A lost device is refused like a blocked one, and that it was lost must stay on record.
        if device.state not in (DeviceState.BLOCKED, DeviceState.LOST):
            steps.append(Step(StepKind.BLOCK_DEVICE, device.id, device.name, undoable=True))
    for kind, count in ((StepKind.REMOVE_FACTORS, second_factors), (StepKind.VOID_CODES, codes)):
        if count > 0:
            steps.append(Step(kind, me, account.address, count))
    if account.sealed_password:
        steps.append(Step(StepKind.FORGET_PASSWORD, me, account.address))
    steps += [Step(StepKind.TELL_POLICY, me, name) for name in mentions(account, policy)]
    if account.aliases:
        steps.append(Step(StepKind.TELL_ALIASES, me, ", ".join(account.aliases), len(account.aliases)))
    return LeaverPlan(me, account.address, tuple(steps))


def mentions(account: Account, policy: Policy | None) -> tuple[str, ...]:
    """Where the policy names the account itself: ``rule NAME``, ``exception NAME``, ``mode of DOOR``."""
    if policy is None:
        return ()
    mine = {account.id, account.address, *account.aliases}
    found = [f"rule {r.name}" for r in policy.rules if any(_same(name, mine) for name in r.accounts)]
    found += [f"exception {e.name}" for e in policy.exceptions if any(_same(n, mine) for n in e.accounts)]
    found += [f"mode of {m.door.value}" for m in policy.modes if m.account and _same(m.account, mine)]
    return tuple(dict.fromkeys(found))


def _same(name: str, mine: set[str]) -> bool:
    if name in mine:
        return True
    try:
        return canonical(name) in mine
    except ValueError:
        return False
