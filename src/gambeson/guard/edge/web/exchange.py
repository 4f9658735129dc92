"""The Exchange lanes at the gate: rules for ActiveSync and EWS, and the answers to Autodiscover.

The rules decide nothing about who may come in: they see devices that have proven themselves. A program that is refused
because it reads through a cloud is told so here. ``install`` puts the rules into a gate. Which DeviceId each credential
came with first is in the snapshot; what a door remembers besides is bounded and gone with the process. The events
``door.eas.device`` tell the worker, and keep it for findings.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from gambeson.guard.core.decide import CLOUD_REFUSED
from gambeson.guard.core.web import autodiscover, eas, ews
from gambeson.guard.core.web.clients import Clients
from gambeson.guard.core.web.verdict import Answer, Forward, Peek, Verdict, WebClient
from gambeson.model.access import DEVICE_WEB_DOORS, DoorKind
from gambeson.model.decision import Opinion
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Lane, Route, Site, WebRequest
from gambeson.wire.activesync import EasError, EasQuery
from gambeson.wire.autodiscover import MAX_ANSWER, MAX_ASKED, MailServerName
from gambeson.wire.soap import SoapError
from gambeson.wire.strict_xml import XmlError

from .devices import DeviceCall, Devices
from .record import ONCE_SECONDS, WebRecord
from .replies import not_there, say
from .shelf import Shelf

if TYPE_CHECKING:
    from gambeson.guard.edge.door import Door

    from .gate import WebGate

KEPT_SECONDS = 30 * 86400.0  # how long a first DeviceId is remembered after it was last seen
SEEN_SECONDS = 6 * 3600.0  # how often a device that is served is recorded; findings look back a day
MAX_KEPT = 20_000
_OWN_CODING = ("accept-encoding", "identity")


class EasRule:
    """What becomes of a proven device's ActiveSync request.

    Which DeviceId a credential came with first, and which an account has, is in the snapshot: the worker keeps what the
    doors record. Until that comes back, this door remembers it by itself."""

    def __init__(self, door: Door, record: WebRecord, clients: Clients) -> None:
        self._door, self._record, self._clients = door, record, clients
        self._first: Shelf[str] = Shelf(MAX_KEPT)  # by credential: the first DeviceId, lower case
        self._seen: Shelf[frozenset[str]] = Shelf(MAX_KEPT)  # by account: its DeviceIds
        door.on_snapshot.append(self._agree)

    def _agree(self, index: SnapshotIndex) -> None:
        """What the snapshot knows is no longer ours to remember: it may be taken back there."""
        now = self._door.counting()
        for credential in self._first:
            first = index.eas_first.get(str(credential))
            if first is None:
                continue
            mine = self._first.get(credential, now)
            self._first.drop(credential)
            found = index.credential.get(str(credential))
            holder = index.device.get(found.device) if found is not None else None
            seen = self._seen.get(holder.account, now) if holder is not None else None
            if holder is not None and seen:
                self._seen.change(holder.account, seen - {first, mine or ""})

    def __call__(self, call: DeviceCall) -> Verdict:
        """The verdict. Raises nothing."""
        request, verdict = call.request, call.verdict
        reason = call.judgement.decision.reason
        held = call.judgement.decision.opinion is Opinion.QUARANTINE
        shut, disabled = reason in ("device-blocked", "device-lost"), reason == "door-not-allowed"
        if not isinstance(verdict, Forward) and not (held or shut or disabled):
            return verdict
        wait = verdict.wait if isinstance(verdict, Answer) else 0.0
        if request.method == "OPTIONS":
            return eas.options(reason, wait) if held else verdict
        account = call.index.account.get(call.judgement.identity.account)
        if account is None:
            return verdict
        try:
            query = eas.read_request(request, eas.names_of(account, call.judgement.raw.username))
        except EasError as error:
            return eas.malformed(error)
        facts = self._facts(call, query, held, shut, disabled)
        outcome = eas.decide(query, facts)
        self._tell(call, query, outcome)
        if outcome is eas.Outcome.PASS:
            return verdict
        key = self._door.device_key or b""
        keys = eas.quarantine_keys(key, call.judgement.identity.device, query.device_key)
        wait = wait or self._door.settings.timeouts.refusal
        return eas.answer(query, outcome, keys, wait)

    def _facts(self, call: DeviceCall, query: EasQuery, held: bool, shut: bool, disabled: bool) -> eas.Facts:
        who, now = call.judgement.identity, self._door.counting()
        first = call.index.eas_first.get(who.credential, "")
        if not first and who.credential:  # a password is no device's: it pins nothing
            first = self._first.get(who.credential, now) or ""
        others = 0  # asked of a newcomer only
        if not first:
            seen = self._seen.get(who.account, now) or frozenset()
            others = len((seen | _known(call.index, who.account)) - {query.device_key})
        return eas.Facts(
            decided=call.index.eas_device.get((who.account, query.device_key), ""),
            held=held,
            shut=shut,
            disabled=disabled,
            first=first,
            others=others,
        )

    def _tell(self, call: DeviceCall, query: EasQuery, outcome: eas.Outcome) -> None:
        """Remember and record. Only what passes is a device's first."""
        who, now = call.judgement.identity, self._door.counting()
        new = outcome is eas.Outcome.PASS and who.credential not in call.index.eas_first
        if new:
            until = now + KEPT_SECONDS
            if who.credential:
                first = self._first.get(who.credential, now) or query.device_key
                self._first.put(who.credential, first, until, now)
            seen = self._seen.get(who.account, now) or frozenset()
            if query.device_key not in seen:
                seen = frozenset((*sorted(seen), query.device_key)[-eas.MAX_DEVICES :])
            self._seen.put(who.account, seen, until, now)
        kind = "door.eas.device" if outcome is eas.Outcome.PASS else "door.eas.refused"
        access = call.judgement.request
        self._record.noticed(
            kind,
            (who.account, who.device, query.device_key, outcome),
            access,
            SEEN_SECONDS if outcome is eas.Outcome.PASS else ONCE_SECONDS,
            rung=who.rung.word,
            device_id=query.device_id,
            first=new and self._first.get(who.credential, now) == query.device_key,
            device_type=query.device_type,
            version=query.version,
            program=self._clients.program(call.request.header("user-agent")),
            server=call.site.name,
            why="" if outcome is eas.Outcome.PASS else outcome.value,
        )


def _known(index: SnapshotIndex, account: str) -> frozenset[str]:
    """The DeviceIds that an account has: those that its credentials came with first, and those that an administrator
    allowed."""
    made = index.memo.get("eas known")
    if isinstance(made, dict):
        return frozenset(made.get(account, ()))
    table: dict[str, set[str]] = {}
    for (owner, device), word in index.eas_device.items():
        if word == "allowed":
            table.setdefault(owner, set()).add(device)
    for credential, device in index.eas_first.items():
        found = index.credential.get(credential)
        holder = index.device.get(found.device) if found is not None else None
        if holder is not None:
            table.setdefault(holder.account, set()).add(device)
    index.memo["eas known"] = table
    return frozenset(table.get(account, ()))


class LaneRule:
    """At every device door of the web: a program that reads through a cloud, and is refused for that, is told so; then
    the door's own rule."""

    def __init__(
        self, record: WebRecord, clients: Clients, door_rule: EasRule | None, operations: bool
    ) -> None:
        self._record, self._clients = record, clients
        self._door_rule, self._operations = door_rule, operations

    def __call__(self, call: DeviceCall) -> Verdict:
        """The verdict."""
        request, decision = call.request, call.judgement.decision
        if isinstance(call.verdict, Answer) and decision.reason == CLOUD_REFUSED:
            answer = say(request, 403, CLOUD_REFUSED, decision.sentence, close=True)
            return replace(answer, wait=call.verdict.wait)
        if self._door_rule is not None:
            return self._door_rule(call)
        if self._operations and isinstance(call.verdict, Forward):
            client = self._clients.recognise(request.header("user-agent"))
            return self._told(call, ews.judge(request, call.site, client, call.verdict))
        return call.verdict

    def _told(self, call: DeviceCall, verdict: Verdict) -> Verdict:
        """The same verdict; a refusal is recorded with who asked."""
        if isinstance(verdict, Answer):
            who = call.judgement.identity
            self._record.noticed(
                "door.ews.refused",
                (who.account, who.device, verdict.reason),
                call.judgement.request,
                why=verdict.reason[:120],
                program=self._clients.program(call.request.header("user-agent")),
                server=call.site.name,
            )
        if not isinstance(verdict, Peek):
            return verdict
        judge = verdict.judge

        def told(octets: bytes, whole: bool) -> Verdict:
            found = judge(octets, whole)
            assert isinstance(found, Forward | Answer)
            return self._told(call, found)

        return Peek(verdict.limit, told)


class Discovery:
    """Autodiscover and autoconfig. ``servers`` are the mail doors' public names; empty: there is no autoconfig."""

    def __init__(self, devices: Devices, name: str, servers: tuple[MailServerName, ...]) -> None:
        self._devices, self._name, self._servers = devices, name, servers

    def version_2(self, request: WebRequest, client: WebClient, site: Site, route: Route) -> Verdict:
        """The JSON answer, for anybody."""
        return autodiscover.version_2(request, site)

    def autoconfig(self, request: WebRequest, client: WebClient, site: Site, route: Route) -> Verdict:
        """Thunderbird's answer, for anybody."""
        if not self._servers:
            return not_there(request, "no-autoconfig")
        return autodiscover.autoconfig(request, self._name, self._servers)

    def pox(self, request: WebRequest, client: WebClient, site: Site, route: Route) -> Verdict:
        """For phones, anybody; for Outlook, an admitted device, from the server."""

        def asked(octets: bytes, whole: bool) -> Verdict | Awaitable[Verdict]:
            try:
                pox = autodiscover.read_pox(request, octets, whole)
            except XmlError as error:
                return autodiscover.pox_refused(error.reason)
            if pox.schema == "mobilesync":
                return autodiscover.mobilesync(pox, request, site)
            return self._fetched(request, client, site, route)

        return Peek(MAX_ASKED, asked)

    def soap(self, request: WebRequest, client: WebClient, site: Site, route: Route) -> Verdict:
        """For an admitted device, from the server."""

        def asked(octets: bytes, whole: bool) -> Verdict | Awaitable[Verdict]:
            try:
                autodiscover.read_soap(request, octets, whole)
            except SoapError as error:
                return autodiscover.soap_refused(error)
            return self._fetched(request, client, site, route)

        return Peek(MAX_ASKED, asked)

    def _fetched(
        self, request: WebRequest, client: WebClient, site: Site, route: Route
    ) -> Verdict | Awaitable[Verdict]:
        own = Route(Lane.DEVICE, DoorKind.AUTODISCOVER, route.rule)
        verdict = self._devices.judge(request, client, site, own, (), 60.0)
        if isinstance(verdict, Forward | Answer | Peek):
            return self._rewritten(request, site, verdict)
        return self._later(request, site, verdict)

    async def _later(self, request: WebRequest, site: Site, waiting: Awaitable[Verdict]) -> Verdict:
        return self._rewritten(request, site, await waiting)

    @staticmethod
    def _rewritten(request: WebRequest, site: Site, verdict: Verdict) -> Verdict:
        if not isinstance(verdict, Forward):
            return verdict
        return replace(
            verdict,
            headers=(*verdict.headers, _OWN_CODING),
            actions=(*verdict.actions, autodiscover.WITHOUT_NAMES),
            rewrite=autodiscover.rewriter(request, site),
            rewrite_limit=MAX_ANSWER,
        )


def install(
    gate: WebGate, door: Door, clients: Clients, name: str = "Mail", servers: tuple[MailServerName, ...] = ()
) -> None:
    """Put the lanes into a gate. ``name`` is what programs show of the mail service; ``servers`` the mail doors' public
    names for autoconfig."""
    record = gate.record
    eas_rule = EasRule(door, record, clients)
    for kind in DEVICE_WEB_DOORS:
        own = eas_rule if kind is DoorKind.EAS else None
        gate.device_rules[kind] = LaneRule(record, clients, own, kind is DoorKind.EWS)
    discovery = Discovery(gate.devices, name, servers)
    gate.answer_local["autodiscover-v2"] = discovery.version_2
    gate.answer_local["autodiscover-pox"] = discovery.pox
    gate.answer_local["autodiscover-soap"] = discovery.soap
    gate.answer_local["autoconfig"] = discovery.autoconfig
