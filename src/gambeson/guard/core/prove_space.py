"""The space that ``prove`` walks: a small made-up organisation under the real policy.

Every door x every rung x no device or a device of each state and kind x one address of every declared network
and one outside x one account for each name or group that the policy mentions, and one that it does not
mention. The countries and risks that rules tell apart, each with each, under every proof. Then, at the strongest
and weakest proof, one fault at a time (a revoked credential, another organisation's device, no TLS, ...), and the
moments at which something in the policy ends or begins.

At the web doors a person comes with a session of the portal, at every rung (password, code, passkey), or with none; a
session that was ended, and one that is shown at a mail program's door, must open nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gambeson.model.access import BROWSER_DOORS, AccessRequest, DoorKind, Identity, Rung
from gambeson.model.asset import Account, Credential, CredentialKind, Device, DeviceKind, DeviceState
from gambeson.model.organisation import Organisation
from gambeson.model.rule import Policy
from gambeson.model.snapshot import Snapshot, SnapshotIndex

from .prove_givens import FOREIGN, accounts, countries_and_risks, sources

_ELSEWHERE = "198.18.255.255/32"
_SESSION, _ENDED = "prove:session", "prove:ended-session"


@dataclass(frozen=True, slots=True)
class Probe:
    """One combination. ``account`` bears the claimed name (None: nobody does); ``state`` and ``kind`` are the
    device's; ``fault`` says why it must never pass, empty where nothing is wrong with it."""

    request: AccessRequest
    index: SnapshotIndex
    at: float
    network: str
    account: Account | None
    account_word: str
    state: DeviceState | None = None
    kind: DeviceKind | None = None
    fault: str = ""

    @property
    def device_word(self) -> str:
        """``none``, a browser's session, or state and kind."""
        word = f"{self.state} {self.kind}" if self.state and self.kind else "none"
        if self.request.identity.session:
            word = "browser session"
        return f"{word}, {self.fault}" if self.fault else word


class Space:
    """The made-up snapshot and the probes over it."""

    def __init__(self, index: SnapshotIndex, organisation: str, now: float) -> None:
        """Raises KeyError for an unknown organisation."""
        self._organisation = index.organisation[organisation]
        self.policy = index.policy.get(organisation, Policy(organisation))
        self.bypass_until = index.bypass_until.get(organisation, 0.0)
        self._now = now
        self._accounts = list(accounts(index, self._organisation, self.policy))
        self._sources = list(sources(self.policy))
        self._indexes: dict[float, SnapshotIndex] = {}

    def probes(self) -> Iterator[Probe]:
        """All of them. Their order is stable."""
        yield from self._core(self._now, tuple(DoorKind), full=True)
        for at, doors in self._moments():
            yield from self._core(at, doors, full=False)
        yield from self._circumstances()
        yield from self._faults()

    # --- the parts of the space

    def _core(self, at: float, doors: Iterable[DoorKind], full: bool) -> Iterator[Probe]:
        states = tuple(DeviceState) if full else (DeviceState.REGISTERED,)
        kinds = tuple(DeviceKind) if full else (DeviceKind.PERSONAL,)
        for door in doors:
            for network, source in self._sources:
                for word, account in self._accounts:
                    for rung in Rung:
                        yield self._probe(door, source, network, word, account, rung, at)
                        if rung < Rung.KNOWLEDGE:
                            continue  # nothing is proven, so no device is either
                        for state in states:
                            for kind in kinds:
                                yield self._probe(
                                    door, source, network, word, account, rung, at, state=state, kind=kind
                                )
                        if door in BROWSER_DOORS and rung >= Rung.KNOWLEDGE:
                            yield self._session(door, source, network, word, account, rung, at)
                yield self._stranger(door, source, network, at)
                if door in BROWSER_DOORS:
                    yield self._nobody(door, source, network, at)

    def _moments(self) -> Iterator[tuple[float, tuple[DoorKind, ...]]]:
        """When exceptions and modes have just ended, and when a rule bound to hours or days holds."""
        for e in self.policy.exceptions:
            if self._now < e.until:
                yield e.until, (e.door,)
        for m in self.policy.modes:
            if self._now < m.until:
                yield m.until, (m.door,)
        if self._now < self.bypass_until:
            yield self.bypass_until, tuple(DoorKind)
        for rule in self.policy.rules:
            if rule.hours or rule.weekdays:
                day = self._now // 86400 * 86400
                hour, minute = map(int, (rule.hours or ("12:00", ""))[0].split(":"))
                for ahead in range(1, 8):
                    at = day + ahead * 86400 + hour * 3600 + minute * 60
                    if not rule.weekdays or (int(at // 86400) + 3) % 7 in rule.weekdays:
                        yield at, rule.doors or tuple(DoorKind)
                        break

    def _circumstances(self) -> Iterator[Probe]:
        """The countries and risks that rules tell apart, each with each, under every proof: without a device, and with
        one in good order and one in quarantine."""
        given = list(countries_and_risks(self.policy))
        states = (None, DeviceState.REGISTERED, DeviceState.QUARANTINED)
        for door in DoorKind:
            for network, source in self._sources:
                for word, account in self._accounts:
                    for rung in Rung:
                        for state in states if rung >= Rung.KNOWLEDGE else (None,):
                            kind = DeviceKind.PERSONAL if state else None
                            probe = self._probe(
                                door, source, network, word, account, rung, self._now, state, kind
                            )
                            for country, risk in given:
                                request = replace(probe.request, country=country, risk=risk)
                                yield replace(probe, request=request)

    def _faults(self) -> Iterator[Probe]:
        network, source = self._sources[-1]
        word, account = self._accounts[0]
        at = self._now
        secret, key = Rung.DEVICE_SECRET, Rung.DEVICE_KEY
        for door in DoorKind:
            for rung in (secret, key):
                good = self._probe(
                    door,
                    source,
                    network,
                    word,
                    account,
                    rung,
                    at,
                    DeviceState.REGISTERED,
                    DeviceKind.PERSONAL,
                )
                for suffix, fault in _BROKEN.items():
                    identity = replace(
                        good.request.identity, device=f"{suffix}:d", credential=f"{suffix}:{rung.word}"
                    )
                    yield _broken(good, fault, identity=identity)
                identity = good.request.identity
                yield _broken(
                    good, "the credential was removed", identity=replace(identity, credential="gone")
                )
                yield _broken(good, "no credential is named", identity=replace(identity, credential=""))
                yield _broken(good, "the device was removed", identity=replace(identity, device="gone"))
                yield _broken(good, "the account was removed", identity=replace(identity, account="gone"))
                yield _broken(
                    good,
                    "the account is another organisation's",
                    identity=replace(identity, account="foreign:a"),
                )
                yield _broken(
                    good, "the organisation is unknown", identity=replace(identity, organisation="gone")
                )
                yield _broken(
                    good, "the organisation is another", identity=replace(identity, organisation=FOREIGN)
                )
                off = replace(identity, account="off:a", device="off:d", credential=f"off:{rung.word}")
                yield _broken(good, "the account is switched off", identity=off)
                yield from self._on_any(good)
            bare = self._probe(door, source, network, word, account, Rung.NOTHING, at)
            yield from self._session_faults(door, source, network, word, account, at)
            off = replace(bare.request.identity, claimed=f"off@{FOREIGN}.invalid")
            yield _broken(bare, "the account is switched off", identity=off)
            other = replace(bare.request.identity, claimed=f"foreign@{FOREIGN}.invalid")
            yield _broken(bare, "the account is another organisation's", identity=other)
            for failure in ("secret-wrong", "credential-revoked", "single-sign-on-not-offered"):
                failed = replace(bare.request.identity, failure=failure)
                yield _broken(bare, f"a presented credential failed ({failure})", identity=failed)
            yield from self._on_any(bare)

    def _session_faults(
        self, door: DoorKind, source: str, network: str, word: str, account: Account, at: float
    ) -> Iterator[Probe]:
        """Sessions of the portal that must open nothing here, with a code and with a passkey."""
        for rung in (Rung.KNOWLEDGE_AND_CODE, Rung.DEVICE_KEY):
            good = self._session(door, source, network, word, account, rung, at)
            identity = good.request.identity
            if door not in BROWSER_DOORS:
                yield replace(good, fault="a session of the portal is shown at a mail program's door")
                continue
            yield _broken(good, "the session was ended", identity=replace(identity, session=_ENDED))
            off = replace(identity, account="off:a", claimed=f"off@{FOREIGN}.invalid")
            yield _broken(good, "the account is switched off", identity=off)
            other = replace(identity, account="foreign:a", claimed=f"foreign@{FOREIGN}.invalid")
            yield _broken(good, "the account is another organisation's", identity=other)
            yield from self._on_any(good)

    def _on_any(self, probe: Probe) -> Iterator[Probe]:
        yield replace(
            probe,
            request=replace(probe.request, encrypted=False),
            fault="the client's side is not under TLS",
        )
        yield replace(
            probe, request=replace(probe.request, throttled="account"), fault="the throttle is closed"
        )
        stale = self._index(probe.at - 30 * 86400)
        yield replace(probe, index=stale, fault="the snapshot is stale")

    # --- one probe

    def _probe(
        self,
        door: DoorKind,
        source: str,
        network: str,
        word: str,
        account: Account,
        rung: Rung,
        at: float,
        state: DeviceState | None = None,
        kind: DeviceKind | None = None,
    ) -> Probe:
        proven = rung >= Rung.KNOWLEDGE
        device = f"{account.id}:{state}:{kind}" if state and kind else ""
        kept = rung if rung in (Rung.DEVICE_SECRET, Rung.DEVICE_KEY) else Rung.DEVICE_SECRET
        identity = Identity(
            claimed=account.address,
            organisation=self._organisation.id,
            account=account.id if proven else "",
            device=device,
            credential=f"{device}:{kept.word}" if device else "",
            rung=rung,
        )
        request = AccessRequest(door, identity, source)
        return Probe(request, self._index(at), at, network, account, word, state, kind)

    def _stranger(self, door: DoorKind, source: str, network: str, at: float) -> Probe:
        identity = Identity(f"nobody@{self._domain}", self._organisation.id)
        return Probe(
            AccessRequest(door, identity, source), self._index(at), at, network, None, "a made-up name"
        )

    def _session(
        self,
        door: DoorKind,
        source: str,
        network: str,
        word: str,
        account: Account,
        rung: Rung,
        at: float,
    ) -> Probe:
        """A person at a browser. A passkey is the person's: no device is behind it."""
        bare = self._probe(door, source, network, word, account, rung, at)
        identity = replace(bare.request.identity, session=_SESSION)
        return replace(bare, request=replace(bare.request, identity=identity))

    def _nobody(self, door: DoorKind, source: str, network: str, at: float) -> Probe:
        """A browser without a session: nobody in particular, at a site of this organisation."""
        identity = Identity("", self._organisation.id)
        return Probe(
            AccessRequest(door, identity, source),
            self._index(at),
            at,
            network,
            None,
            "a browser without session",
        )

    @property
    def _domain(self) -> str:
        return self._organisation.domains[0] if self._organisation.domains else f"{FOREIGN}.invalid"

    def _index(self, at: float) -> SnapshotIndex:
        """The made-up snapshot, fresh at ``at``."""
        known = self._indexes.get(at)
        if known is None:
            known = self._indexes[at] = SnapshotIndex(self._snapshot(at))
        return known

    def _snapshot(self, at: float) -> Snapshot:
        own = self._organisation.id
        ranges = tuple(f"{source}/{128 if ':' in source else 32}" for _, source in self._sources)
        accounts = [account for _, account in self._accounts]
        devices: list[Device] = []
        for account in accounts:
            for state in DeviceState:
                for kind in DeviceKind:
                    bound = ranges if kind is DeviceKind.MACHINE else ()
                    name = f"{account.id}:{state}:{kind}"
                    devices.append(
                        Device(name, own, account.id, name, kind, state, tuple(DoorKind), networks=bound)
                    )
        first = accounts[0].id
        whole = Device("", own, first, "", doors=tuple(DoorKind))
        devices += [
            replace(whole, id="expired-device:d", expires_at=self._now - 1),
            replace(whole, id="revoked:d"),
            replace(whole, id="expired:d"),
            replace(whole, id="other-door:d", doors=()),
            replace(whole, id="machine-elsewhere:d", kind=DeviceKind.MACHINE, networks=(_ELSEWHERE,)),
            replace(whole, id="machine-unbound:d", kind=DeviceKind.MACHINE),
            replace(whole, id="foreign:d", organisation=FOREIGN, account="foreign:a"),
            replace(whole, id="off:d", account="off:a"),
        ]
        off = Account("off:a", own, f"off@{FOREIGN}.invalid", enabled=False)
        foreign = Account("foreign:a", FOREIGN, f"foreign@{FOREIGN}.invalid")
        return Snapshot(
            number=1,
            made_at=at,
            organisations=(self._organisation, Organisation(FOREIGN, FOREIGN, (f"{FOREIGN}.invalid",))),
            accounts=(*accounts, off, foreign),
            devices=tuple(devices),
            credentials=tuple(c for d in devices for c in self._credentials(d)),
            policies=(self.policy, replace(self.policy, organisation=FOREIGN)),
            bypass_until=((own, self.bypass_until),),
            ended_sessions=(_ENDED,),
        )

    def _credentials(self, device: Device) -> Iterator[Credential]:
        for rung, kind in (
            (Rung.DEVICE_SECRET, CredentialKind.DEVICE_SECRET),
            (Rung.DEVICE_KEY, CredentialKind.CERTIFICATE),
        ):
            name = f"{device.id.removesuffix(':d')}:{rung.word}"
            yield Credential(
                name,
                device.organisation,
                device.id,
                kind,
                public_id=name,
                revoked_at=self._now - 1 if device.id == "revoked:d" else 0.0,
                expires_at=self._now - 1 if device.id == "expired:d" else 0.0,
            )


_BROKEN = {
    "expired-device": "the device's registration has ended",
    "revoked": "the credential is revoked",
    "expired": "the credential has expired",
    "other-door": "the device is not for this door",
    "machine-elsewhere": "the machine is not in its network",
    "machine-unbound": "the machine is bound to no network",
    "foreign": "the device is another organisation's",
}


def _broken(probe: Probe, fault: str, identity: Identity) -> Probe:
    return replace(probe, request=replace(probe.request, identity=identity), fault=fault)
