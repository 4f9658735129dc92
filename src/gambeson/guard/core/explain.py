"""Explain a decision: "what would happen if ..., and why", with every floor and rule that was asked.

It asks the real ``decide`` about the real policy. A device that is not named is made up: registered, personal
and for this door, so that the answer is about the policy and not about what a person happens to own.
"""

from __future__ import annotations

from dataclasses import replace

from gambeson.model.access import AccessRequest, DoorKind, Identity, Rung
from gambeson.model.address import canonical
from gambeson.model.asset import Credential, CredentialKind, Device
from gambeson.model.snapshot import Snapshot, SnapshotIndex

from .clouds import CloudService
from .decide import Trace, decide
from .identify import alive

_MADE_UP = "a registered device"


def explain(
    index: SnapshotIndex,
    now: float,
    door: DoorKind,
    account: str,
    rung: Rung | None = None,
    device: str = "",
    source: str = "",
    country: str = "",
    risk: int = 0,
    encrypted: bool = True,
    cloud: CloudService | None = None,
) -> dict[str, object]:
    """``{decision, rule, reason, sentence, demanded, mode, passes, as_is, country, risk, cloud, cloud_evidence,
    trace}`` for this door and account.

    ``account`` is an address or an account id; ``rung`` without ``device`` supposes a registered one where
    the rung needs it; ``device`` without ``rung`` takes the strongest live credential of that device. Without
    both nothing is proven: that is a password alone. Raises ValueError with one sentence for a name that
    cannot be one, or a device that is not there or not this account's.
    """
    known = index.account.get(account)
    claimed = known.address if known is not None else canonical(account)
    known = known if known is not None else index.account_by_address.get(claimed)
    domain = index.organisation_by_domain.get(claimed.rpartition("@")[2])
    own = known.organisation if known is not None else domain.id if domain is not None else ""
    found = index.device.get(device) if device else None
    if device and (found is None or known is None or found.account != known.id):
        raise ValueError(f"{claimed} has no device {device[:60]!r}; see 'gambeson device list'")
    credential = _strongest(index, found, now) if found is not None else None
    if rung is None:
        rung = _rung(credential)
    identity = Identity(claimed, own)
    # At a door a password is not checked: knowledge, and what is less, is nothing proven.
    if known is not None and rung > Rung.KNOWLEDGE:
        if found is None and rung is not Rung.KNOWLEDGE_AND_CODE:
            found = Device(_MADE_UP, own, known.id, _MADE_UP, doors=(door,))
        if found is not None and credential is None:
            kind = CredentialKind.CERTIFICATE if rung is Rung.DEVICE_KEY else CredentialKind.DEVICE_SECRET
            credential = Credential("its credential", own, found.id, kind, "its credential")
        identity = Identity(
            claimed,
            own,
            known.id,
            found.id if found is not None else "",
            credential.id if credential is not None else "",
            rung,
        )
    trace: Trace = []
    request = AccessRequest(
        door,
        identity,
        source,
        encrypted,
        country.upper(),
        risk,
        cloud=cloud.id if cloud is not None else "",
        cloud_evidence=cloud.evidence.value if cloud is not None else "",
    )
    small = _excerpt(index, own, found, credential)
    decision = decide(request, small, now, trace=trace)
    return {
        "decision": decision.opinion.value,
        "rule": decision.rule,
        "reason": decision.reason,
        "sentence": decision.sentence,
        "demanded": decision.demanded.word,
        "mode": decision.mode.value,
        "passes": decision.passes,
        "as_is": decision.as_is,
        "country": request.country,
        "risk": request.risk,
        "cloud": request.cloud,
        "cloud_evidence": request.cloud_evidence,
        "trace": [{"asked": asked, "said": said} for asked, said in trace],
    }


def _strongest(index: SnapshotIndex, device: Device, now: float) -> Credential | None:
    """The credential of this device that proves most, a live one before a dead one."""
    own = [c for c in index.snapshot.credentials if c.device == device.id]
    return max(own, key=lambda c: (not alive(c, device, now), _rung(c)), default=None)


def _rung(credential: Credential | None) -> Rung:
    if credential is None:
        return Rung.NOTHING
    return Rung.DEVICE_KEY if credential.kind is CredentialKind.CERTIFICATE else Rung.DEVICE_SECRET


def _excerpt(
    index: SnapshotIndex, organisation: str, device: Device | None, credential: Credential | None
) -> SnapshotIndex:
    """The snapshot with the one device, made up or not. Accounts stay: the policy names them."""
    snapshot: Snapshot = index.snapshot
    if device is None or (device.id in index.device and credential and credential.id in index.credential):
        return index
    return SnapshotIndex(
        replace(
            snapshot,
            devices=(device,),
            credentials=(credential,) if credential is not None else (),
            policies=tuple(p for p in snapshot.policies if p.organisation == organisation),
        )
    )
