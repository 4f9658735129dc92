"""The decision API's pure half: what an engine's question becomes, and what a verdict becomes for nginx."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.decision_api import (
    MOST_SECONDS,
    NOT_JUDGED,
    SPRAY_NAMES,
    Attempts,
    policy_decision,
    policy_facts,
    shown,
    sub_answer,
    tarpit,
)
from gambeson.guard.core.web.verdict import Answer, Forward
from gambeson.model.access import AccessRequest, DoorKind, Identity, Mode, Rung
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry, PolicyRule
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.model.web import WebRequest
from gambeson.wire.auth_policy import PolicyAsk
from guard.edge.web.gates import exchange, snapshot

NOW = time.time()
ASK = PolicyAsk("alma@example.org", "203.0.113.7", "0831", "imap", session_id="s", tls=True)
REQUEST = WebRequest("GET", "mail.example.org", "/owa/", headers=(("authorization", "Basic eDp5"),))
ACCESS = AccessRequest(
    DoorKind.EAS, Identity("alma@example.org", "o", "a1", "d1", "c", Rung.DEVICE_SECRET), "1.2.3.4"
)


def judged(ask: PolicyAsk = ASK, made: Snapshot | None = None, **facts: object):  # type: ignore[no-untyped-def]
    index = SnapshotIndex(made if made is not None else snapshot())
    access = policy_facts(ask, index)
    assert access is not None
    return policy_decision(replace(access, **facts), index, NOW)  # type: ignore[arg-type]


class TestPolicy:
    def test_how_somebody_proved_it_is_not_ours_to_say(self) -> None:
        decision = judged()
        assert decision.passes
        assert decision.reason == NOT_JUDGED

    @pytest.mark.parametrize(
        ("protocol", "door"),
        [("imap", DoorKind.IMAP), ("pop3", DoorKind.POP3), ("smtp", DoorKind.SUBMISSION), ("lmtp", None)],
    )
    def test_doors(self, protocol: str, door: DoorKind | None) -> None:
        access = policy_facts(replace(ASK, protocol=protocol), SnapshotIndex(snapshot()))
        assert (access.door if access else None) is door

    @pytest.mark.parametrize(
        ("facts", "reason", "told"),
        [
            ({"throttled": "account"}, "throttled", True),
            ({"encrypted": False}, "not-encrypted", True),
        ],
    )
    def test_floors_hold(self, facts: dict[str, object], reason: str, told: bool) -> None:
        decision = judged(**facts)
        assert not decision.passes
        assert decision.reason == reason
        assert bool(shown(decision)) is told

    def test_a_stale_snapshot_lets_nobody_in(self) -> None:
        index = SnapshotIndex(replace(snapshot(), made_at=NOW - 7200))
        access = policy_facts(ASK, index)
        assert access is not None
        assert policy_decision(access, index, NOW, 3600.0).reason == "snapshot-stale"

    def test_a_rule_that_denies_counts_and_one_that_asks_for_a_device_does_not(self) -> None:
        made = snapshot()
        deny = PolicyRule("night", Opinion.DENY, countries=("XX",))
        policies = tuple(replace(p, rules=(deny, *p.rules)) for p in made.policies)
        made = replace(made, policies=policies)
        assert not judged(made=made, country="XX").passes
        assert shown(judged(made=made, country="XX")) == ""
        assert judged(made=made, country="AT").passes

    def test_a_door_that_observes_lets_a_rule_pass(self) -> None:
        made = snapshot()
        deny = PolicyRule("all", Opinion.DENY)
        observe = ModeEntry(DoorKind.IMAP, Mode.OBSERVE, NOW + 1000)
        policies = tuple(replace(p, rules=(deny,), modes=(observe,)) for p in made.policies)
        assert judged(made=replace(made, policies=policies)).passes

    @given(st.integers(0, 1000), st.booleans(), st.booleans())
    def test_waiting_is_bounded_and_grows(self, failures: int, known: bool, spraying: bool) -> None:
        seconds = tarpit(failures, known, spraying)
        assert 0 <= seconds <= MOST_SECONDS
        assert seconds <= tarpit(failures + 1, known, spraying)
        assert not (known and seconds)


class TestAttempts:
    def test_one_sign_in_is_counted_once(self) -> None:
        attempts = Attempts()
        assert not attempts.counted(ASK, NOW)
        attempts.begun(ASK, NOW)
        assert attempts.counted(ASK, NOW + 1)
        assert not attempts.counted(replace(ASK, pwhash="0832"), NOW + 1)
        assert not attempts.counted(ASK, NOW + 1000)
        assert attempts.ended(ASK)
        assert not attempts.ended(ASK)

    @pytest.mark.parametrize("lacking", [{"session_id": ""}, {"pwhash": ""}])
    def test_without_session_or_hash_each_is_another(self, lacking: dict[str, str]) -> None:
        attempts = Attempts()
        ask = replace(ASK, **lacking)  # type: ignore[arg-type]
        attempts.begun(ask, NOW)
        assert not attempts.counted(ask, NOW)

    def test_memory_is_bounded(self) -> None:
        attempts = Attempts(most=10)
        for number in range(100):
            attempts.begun(replace(ASK, session_id=str(number)), NOW)
        assert len(attempts) == 10

    def test_many_names_from_one_source(self) -> None:
        attempts = Attempts()
        said = [attempts.failed("4:1", f"n{number}", NOW) for number in range(SPRAY_NAMES + 3)]
        assert said.count(True) == 1
        assert attempts.spraying("4:1", NOW)
        assert not attempts.spraying("4:2", NOW)
        assert not attempts.spraying("4:1", NOW + 3601)
        for _ in range(50):
            attempts.failed("4:3", "one", NOW)
        assert not attempts.spraying("4:3", NOW)


class TestNginx:
    @pytest.mark.parametrize(
        ("verdict", "status", "reason"),
        [
            (Answer(401, (("www-authenticate", "Basic"),), reason="x"), 401, "x"),
            (Answer(303, (("location", "https://p/"),), reason="no-session"), 401, "no-session"),
            (Answer(404, reason="never"), 403, "never"),
            (Answer(403, reason="shield a"), 403, "shield a"),
            (Answer(449, reason="provision"), 403, "provision"),
            (Answer(503, reason="not-ready"), 503, "not-ready"),
            (
                Forward(exchange(), headers=(("x-remote-user", "alma"),)),
                403,
                "not-through-nginx header-sign-in",
            ),
            (
                Forward(exchange(), set_cookie=lambda text: (text,)),
                403,
                "not-through-nginx cookies-not-bound",
            ),
            (
                Forward(exchange(), headers=(("authorization", "Negotiate YII="),)),
                403,
                "not-through-nginx connection-authentication",
            ),
            (Forward(exchange(), cookies=("a", "b", "c", "d")), 403, "not-through-nginx too-many-cookies"),
        ],
    )
    def test_what_does_not_pass(self, verdict: Forward | Answer, status: int, reason: str) -> None:
        answer = sub_answer(verdict, REQUEST)
        assert answer.status == status
        assert dict(answer.headers)["x-gambeson-reason"] == reason
        assert answer.body == b""

    @pytest.mark.parametrize(("passed_on", "seen"), [(True, "Basic eDp5"), (False, "")])
    def test_the_clients_authorization_goes_on_only_where_the_verdict_says_so(
        self, passed_on: bool, seen: str
    ) -> None:
        answer = sub_answer(Forward(exchange(), ACCESS, authorization=passed_on), REQUEST)
        assert answer.status == 204
        assert dict(answer.headers).get("x-gambeson-authorization", "") == seen
        assert dict(answer.headers)["x-gambeson-user"] == "alma@example.org"

    def test_ntlm_does_not_go_on_even_where_the_door_observes(self) -> None:
        asked = replace(REQUEST, headers=(("authorization", "NTLM TlRM"),))
        assert sub_answer(Forward(exchange(), ACCESS, authorization=True), asked).status == 403

    def test_cookies_of_people_are_theirs_less_ours(self) -> None:
        asked = replace(REQUEST, cookies=(("a", "b"), ("__Host-gambeson-session", "t")))
        verdict = Forward(exchange(), ACCESS, cookies=("n=1",), set_cookie=lambda text: (text,))
        headers = dict(sub_answer(verdict, asked, unbound_cookies=True).headers)
        assert headers["x-gambeson-upstream-cookie"] == "a=b"
        assert headers["x-gambeson-set-cookie-1"] == "n=1"
