"""The desk of the decision API: one request in, one answer out. The sockets are in ``decision_listener``.

Paths: ``/auth_request`` (nginx's sub-request), ``/own`` (what the door answers by itself),
``/?command=...`` and ``/command/...`` (Dovecot, weakforced's clients), ``/openapi.json``. Nothing is answered without
the key. Whatever goes wrong here is a 5xx, and both recipes refuse then.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import time
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from inspect import isawaitable
from typing import TYPE_CHECKING

from gambeson.guard.core.clouds import of_cloud
from gambeson.guard.core.decision_api import (
    ApiAnswer,
    Attempts,
    client_name,
    policy_decision,
    policy_facts,
    shown,
    sub_answer,
    tarpit,
)
from gambeson.guard.core.networks import source_prefix
from gambeson.guard.core.web.verdict import Answer, Forward, Peek, WebClient
from gambeson.model.access import AccessRequest
from gambeson.model.decision import Decision, Opinion
from gambeson.wire.auth_policy import (
    Command,
    PolicyAsk,
    PolicyError,
    answer,
    done,
    parse_ask,
    parse_command,
)
from gambeson.wire.auth_request import SubRequest, read_sub_request
from gambeson.wire.http_target import HeadError

from .decision_plan import DecisionSettings
from .judgement import risk_of
from .networks import prefix

if TYPE_CHECKING:
    from .door import Door

Headers = list[tuple[bytes, bytes]]
SUB_REQUEST, OWN_PATHS, DOCUMENT = "/auth_request", "/own", "/openapi.json"
_JSON = (("content-type", "application/json"),)
_CHALLENGE = (("www-authenticate", 'Basic realm="decision API"'),)
_WRONG_KEY_SECONDS = 0.5
_LISTENER = "decision-api"


class DecisionApi:
    """One for a door process; every listener of it asks this one."""

    def __init__(self, door: Door, settings: DecisionSettings) -> None:
        self._door, self._settings = door, settings
        self._attempts = Attempts()
        self.turned_away: Counter[str] = Counter()  # by reason, recorded once in a while

    async def answer(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> ApiAnswer:
        """The answer. ``headers`` have lower-case names. Raises nothing."""
        try:
            ours = path in (SUB_REQUEST, OWN_PATHS)
            if not self._key_fits(headers, only_own=ours):
                self.turned_away["wrong key"] += 1
                # nginx passes a challenge on, and this one is not for its clients.
                headers_401 = _JSON if ours else (*_CHALLENGE, *_JSON)
                return ApiAnswer(401, headers_401, done("key"), close=True, wait=_WRONG_KEY_SECONDS)
            if path == SUB_REQUEST:
                return await self._sub_request(method, headers)
            if path == OWN_PATHS:
                return await self._own(method, headers)
            if path == DOCUMENT:
                return self._only("GET", method) or ApiAnswer(200, _JSON, self._settings.document)
            return self._policy(method, path, query, body)
        except PolicyError as error:
            return ApiAnswer(error.status, _JSON, done(error.reason))
        except HeadError as error:
            # For nginx any other status than 401 and 403 is an error, which it logs; both refuse.
            self.turned_away[f"head {error.reason}"] += 1
            return ApiAnswer(403, (("x-gambeson-reason", f"head-{error.reason}"),))
        except Exception as error:
            self._door.loop.call_exception_handler({"message": "the decision API failed", "exception": error})
            return ApiAnswer(500, _JSON, done("fault"), close=True)

    def _key_fits(self, headers: Headers, *, only_own: bool) -> bool:
        """X-API-Key, or Basic with the key as password (any name). In a sub-request Authorization is the client's."""
        keys = [value.strip() for name, value in headers if name == b"x-api-key"]
        given = [value.strip() for name, value in headers if name == b"authorization"]
        if not only_own and not keys and len(given) == 1:
            keys = [_basic_password(given[0])]
        shown_key = keys[0] if len(keys) == 1 else b""
        return hmac.compare_digest(sha256(shown_key).digest(), self._settings.digest)

    @staticmethod
    def _only(wanted: str, method: str) -> ApiAnswer | None:
        if method == wanted:
            return None
        return ApiAnswer(405, (("allow", wanted), *_JSON), done("method"))

    # -- nginx

    def _read(self, headers: Headers) -> SubRequest:
        return read_sub_request(headers, self._door.web_hosts)

    async def _judge(self, sub: SubRequest) -> Forward | Answer | None:
        gate = self._door.gate
        if gate is None or self._door.index is None or self._door.stopping:
            return None
        request = sub.request
        client = WebClient(request.source, 0, request.host, sub.certificate, sub.fingerprint)
        verdict = gate.judge(request, client)
        verdict = await verdict if isawaitable(verdict) else verdict
        if isinstance(verdict, Peek):
            # No body comes this way. What must be seen of it was not seen: rules that need it refuse.
            last = verdict.judge(b"", not request.body)
            verdict = await last if isawaitable(last) else last
        return verdict if isinstance(verdict, Forward | Answer) else None

    async def _sub_request(self, method: str, headers: Headers) -> ApiAnswer:
        wrong = self._only("GET", method)
        if wrong is not None:
            return wrong
        sub = self._read(headers)
        verdict = await self._judge(sub)
        if verdict is None:
            return _not_now()
        answered = sub_answer(verdict, sub.request, self._settings.unbound_cookies)
        if answered.status == 403:
            self.turned_away[dict(answered.headers).get("x-gambeson-reason", "")] += 1
        return answered

    async def _own(self, method: str, headers: Headers) -> ApiAnswer:
        """What the door answers by itself at a site's host, in full: coming and going, autoconfiguration. Never
        what would be forwarded."""
        sub = self._read(headers)
        if method not in ("GET", "HEAD", "POST"):
            return ApiAnswer(405, (("allow", "GET, HEAD, POST"), *_JSON), done("method"))
        verdict = await self._judge(sub)
        if not isinstance(verdict, Answer):
            return _not_now()
        return ApiAnswer(verdict.status, verdict.headers, verdict.body, wait=verdict.wait)

    # -- Dovecot

    def _policy(self, method: str, path: str, query: str, body: bytes) -> ApiAnswer:
        command = parse_command(path, query)
        if command is Command.PING:
            if method not in ("GET", "POST"):
                return ApiAnswer(405, (("allow", "GET, POST"), *_JSON), done("method"))
            ready = self._door.index is not None and not self._door.stopping
            return ApiAnswer(200, _JSON, done()) if ready else _not_now()
        wrong = self._only("POST", method)
        if wrong is not None:
            return wrong
        if command is Command.RESET:
            # Counters open again by time alone: whoever could reset them could guess without end.
            return ApiAnswer(403, _JSON, done("counters open again by themselves"))
        ask = parse_ask(body)
        if command is Command.ALLOW:
            return self._allow(ask)
        return self._report(ask)

    def _allow(self, ask: PolicyAsk) -> ApiAnswer:
        door = self._door
        if door.index is None or door.stopping or not door.recorder.healthy:
            return _not_now()
        access = self._facts(ask)
        if access is None or not access.source:
            door.recorder.record(
                "door.login.refused",
                door=ask.protocol[:20],
                source=ask.remote,
                listener=_LISTENER,
                reason="no-door" if access is None else "no-address",
            )
            return _policy_answer(-1)
        now = door.counting()
        throttled = ""
        if not self._attempts.counted(ask, now):
            throttled = door.throttle.check(access.source, access.identity.claimed, "", False, now)
            if not throttled:
                self._attempts.begun(ask, now)
        access = replace(access, throttled=throttled)
        decision = self._decide(access)
        if not decision.passes:
            self._settle(ask, access, failed=True)
            if decision.reason != "throttled" or not door.flood.counted(prefix(access.source)):
                self._record("door.login.refused", ask, access, decision)
            return _policy_answer(-1, shown(decision))
        known, failures = door.throttle.standing(access.source, access.identity.claimed, now)
        # This very attempt is counted already.
        spraying = self._attempts.spraying(source_prefix(access.source), now)
        return _policy_answer(tarpit(max(0, failures - 1), known, spraying))

    def _report(self, ask: PolicyAsk) -> ApiAnswer:
        door = self._door
        if door.index is None or not door.recorder.healthy:
            return _not_now()
        access = self._facts(ask)
        if access is None or not access.source or ask.policy_reject:
            # What we refused ourselves was recorded and settled then.
            self._attempts.ended(ask)
            return ApiAnswer(200, _JSON, done())
        decision = self._decide(access)
        if ask.success:
            self._settle(ask, access, failed=False)
            self._record("door.login.allowed", ask, access, decision, rung="knowledge")
            return ApiAnswer(200, _JSON, done())
        now = door.counting()
        name = access.identity.claimed
        if name and not self._settle(ask, access, failed=True):
            # Nobody asked before: it counts now.
            door.throttle.check(access.source, name, "", False, now)
            door.throttle.failed(access.source, name, "", False, now)
        source = source_prefix(access.source)
        if name and self._attempts.failed(source, name, now):
            door.recorder.record(
                "door.spray",
                identity=access.identity,
                door=access.door,
                source=access.source,
                engine="dovecot",
            )
        refused = replace(decision, opinion=Opinion.CHALLENGE, reason="password-refused-by-server")
        self._record("door.login.refused", ask, access, refused, failure="password-refused-by-server")
        return ApiAnswer(200, _JSON, done())

    def _facts(self, ask: PolicyAsk) -> AccessRequest | None:
        door = self._door
        assert door.index is not None
        access = policy_facts(ask, door.index, door.settings.default_domain)
        if access is None:
            return None
        countries = door.settings.countries
        country = countries.of(prefix(access.source)) if countries is not None else ""
        account = door.index.account_by_address.get(access.identity.claimed)
        risk = risk_of(door, access.source, access.identity, account, country, door.counting())
        cloud = door.settings.clouds.recognise(client_name(ask.device_id), access.source)
        return replace(
            access,
            country=country,
            risk=risk.score,
            cloud=cloud.id if cloud is not None else "",
            cloud_evidence=cloud.evidence.value if cloud is not None else "",
        )

    def _decide(self, access: AccessRequest) -> Decision:
        door = self._door
        assert door.index is not None
        stale = door.snapshot_age() > door.settings.snapshot_max_age
        return policy_decision(access, door.index, time.time(), -1.0 if stale else math.inf)

    def _settle(self, ask: PolicyAsk, access: AccessRequest, *, failed: bool) -> bool:
        """What *allow* counted is given back or stands. False where it counted nothing."""
        door, name, now = self._door, access.identity.claimed, self._door.counting()
        open_ = self._attempts.ended(ask)
        if failed:
            if open_:
                door.throttle.failed(access.source, name, "", False, now)
            return open_
        # Without an attempt under way only the source is remembered: nothing of another's is given back.
        door.throttle.succeeded(access.source, name, "", not open_, now)
        account = door.index.account_by_address.get(name) if door.index is not None else None
        if account is not None:
            door.sightings.saw(account.id, "", access.country, now)
        return open_

    def _record(
        self, kind: str, ask: PolicyAsk, access: AccessRequest, decision: Decision, **more: object
    ) -> None:
        data: dict[str, object] = {
            "listener": _LISTENER,
            "engine": "dovecot",
            "mechanism": ask.mechanism,
            "certificate": ask.by_certificate,
            "rung": access.identity.rung.word,
            "opinion": decision.opinion,
            "mode": decision.mode,
            "rule": decision.rule,
            "reason": decision.reason,
            "country": access.country,
            "risk": access.risk,
            "program": ask.device_id[:200],
            **of_cloud(access),
        }
        self._door.recorder.record(
            kind, identity=access.identity, door=access.door, source=access.source, **(data | more)
        )


def _policy_answer(status: int, message: str = "") -> ApiAnswer:
    return ApiAnswer(200, _JSON, answer(status, message))


def _not_now() -> ApiAnswer:
    return ApiAnswer(503, (("retry-after", "5"), *_JSON), done("not-ready"))


def _basic_password(value: bytes) -> bytes:
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic" or len(encoded) > 1024:
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
