"""The one decision: who may come in, at every door, for every protocol.

``decide`` is pure: the request's facts, the snapshot and the time give a Decision. Its order:

1. the hard floors (``floors.HARD``), which hold in every mode;
2. the rung floor, below which only an exception goes;
3. the organisation's word on programs that read through a cloud (``clouds.py``), which no rule lifts;
4. the rules, in the order written: the first that has an opinion decides; no opinion is *deny*.

A quarantined device gets *quarantine* at best: it is answered, not served. An exception admits where no rule
has an opinion. The mode (``modes``) and the emergency bypass say whether a refusal of 2 to 4 is carried out
or only recorded. Any doubt refuses: an identity that does not fit the snapshot, a stale snapshot, no policy.
"""

from __future__ import annotations

import math

from gambeson.model.access import DEVICE_DOORS, AccessRequest, Mode, Rung
from gambeson.model.asset import DeviceState
from gambeson.model.decision import Decision, Opinion
from gambeson.model.snapshot import SnapshotIndex

from .floors import HARD, QUARANTINE, RUNG, Facts, exception_below

MAX_AGE = 3600.0  # seconds; the setting snapshot_max_age
NO_RULE = "no rule"
CLOUD, CLOUD_REFUSED = "organisation:clouds", "cloud-client"
Trace = list[tuple[str, str]]

_ALLOW, _QUARANTINE = Opinion.ALLOW, Opinion.QUARANTINE


def decide(
    request: AccessRequest,
    index: SnapshotIndex,
    now: float,
    max_age: float = MAX_AGE,
    trace: Trace | None = None,
) -> Decision:
    """The answer to ``request`` at ``now`` (seconds since 1970, the worker's and the door's clock).

    ``max_age`` is how old the snapshot may be, in seconds. ``trace`` collects (floor or rule, what it
    said) of all that were asked, for ``explain``. Raises nothing.
    """
    facts = Facts(request, index, now, max_age)
    for name, floor in HARD:
        refused = floor(facts)
        if trace is not None:
            trace.append((name, f"{refused[0]}: {refused[1]}" if refused else "holds"))
        if refused is not None:
            opinion, reason = refused
            sentence = facts.policy.sentences.because(reason, facts.demanded)
            return Decision(opinion, name, reason, sentence, facts.demanded)
    opinion, rule, reason, sentence = _soft(facts, trace)
    as_is = facts.account is None
    if opinion is _ALLOW and facts.fresh:
        return Decision(_ALLOW, rule, reason, sentence, facts.demanded, Mode.ENFORCE, as_is)
    if facts.device is not None and facts.device.state is DeviceState.QUARANTINED:
        return Decision(opinion, rule, reason, sentence, facts.demanded)
    organisation = request.identity.organisation
    if now < index.bypass_until.get(organisation, -math.inf):
        return Decision(opinion, rule, "bypass", sentence, facts.demanded, Mode.OBSERVE, as_is)
    subject = facts.subject
    mode = facts.policy.modes.of(
        request.door,
        subject.id if subject is not None else "",
        subject.groups if subject is not None else (),
        now,
    )
    passes_as_is = as_is and mode is not Mode.ENFORCE
    return Decision(opinion, rule, reason, sentence, facts.demanded, mode, passes_as_is)


def _soft(facts: Facts, trace: Trace | None) -> tuple[Opinion, str, str, str]:
    """The rung floor and the rules: (opinion, rule, reason, sentence) as enforcement would have it."""
    request, policy, demanded = facts.request, facts.policy, facts.demanded
    rung, exception = facts.rung, None
    if rung < demanded:
        exception = exception_below(facts)
        if trace is not None:
            said = f"exception {exception.name}" if exception else f"challenge: {rung.word} < {demanded.word}"
            trace.append((RUNG, said))
        if exception is None:
            return Opinion.CHALLENGE, RUNG, "rung-too-low", policy.sentences.too_low(demanded)
        rung = max(rung, Rung.KNOWLEDGE)
    elif trace is not None:
        trace.append((RUNG, f"holds: {rung.word} >= {demanded.word}"))
    if request.cloud and request.door in DEVICE_DOORS:
        organisation = facts.index.organisation[request.identity.organisation]  # the floors saw to it
        allowed = request.cloud in organisation.clouds
        if trace is not None:
            said = f"{request.cloud} by {request.cloud_evidence or 'word'}"
            trace.append((CLOUD, f"allowed: {said}" if allowed else f"deny: {CLOUD_REFUSED}: {said}"))
        if not allowed:
            return Opinion.DENY, CLOUD, CLOUD_REFUSED, policy.sentences.because(CLOUD_REFUSED, demanded)
    subject, device = facts.subject, facts.device
    account, groups = (subject.id, subject.groups) if subject is not None else ("", ())
    state, kind = (device.state, device.kind) if device is not None else (None, None)
    quarantined = state is DeviceState.QUARANTINED
    for rule in policy.rules[request.door]:
        holds = rule.holds(
            account, groups, facts.networks, request.country, state, kind, rung, request.risk, facts.now
        )
        if trace is not None:
            trace.append((rule.label, str(rule.opinion) if holds else "no opinion"))
        if holds:
            if quarantined and rule.opinion is _ALLOW:
                break
            return rule.opinion, rule.label, "rule", rule.sentence
    if quarantined:
        if trace is not None:
            trace.append((QUARANTINE, "quarantine: device-quarantined"))
        sentence = policy.sentences.because("device-quarantined", demanded)
        return _QUARANTINE, QUARANTINE, "device-quarantined", sentence
    if exception is not None:
        return _ALLOW, f"exception:{exception.name}", "exception", policy.sentences.of(_ALLOW)
    return Opinion.DENY, NO_RULE, "no-rule", policy.sentences.because("no-rule", demanded)
