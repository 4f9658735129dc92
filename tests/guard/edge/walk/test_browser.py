"""The canary's passkey, its sign-in, and what becomes of it: in the store and in what the walk tells."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest

from console.portal.soft_authenticator import b64
from gambeson.console.web.passkeys import Asked, PasskeyError, check_sign_in, sign_in_options
from gambeson.guard.core.walk import Ask, Kind, Outcome, Record, Reply, Role
from gambeson.guard.core.walk_http import Heard, judge
from gambeson.guard.core.walk_http_past import PastTheDoors
from gambeson.guard.core.walk_http_plan import plans
from gambeson.guard.core.walk_shields import Measured, measured
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.edge.walk.browser import SignedIn, sign_in
from gambeson.guard.edge.walk.http_places import of_endpoint
from gambeson.guard.edge.walk.passkey import Passkey, PasskeyUnaskedError
from gambeson.process.portal_messages import Authenticator

from .webstage import MAIL, PORTAL, exchange, web_walk

ORIGIN = f"https://{PORTAL}"
SHIELD = next(shield for shield in load_shields().shields if shield.id == "owa-mail-script")
POLICY = SHIELD.answers[0].action.add[0]
PAGE = (("content-type", "text/html; charset=utf-8"), ("server", "Microsoft-IIS/10.0"))
SITE = exchange(80)


def stored(passkey: Passkey, id: bytes = b"") -> Authenticator:
    return Authenticator(id="a", kind="passkey", public_id=id or passkey.id, public_key=passkey.public_key)


def test_the_portal_takes_its_answer_and_no_other_origins() -> None:
    mine, challenge = Passkey(), bytes(range(32))
    options = sign_in_options(rp_id=PORTAL, challenge=challenge, known=(stored(mine),)).encode()
    asked = Asked(challenge, PORTAL, ORIGIN, (mine.id,), b"handle", stored(mine))
    assert check_sign_in(mine.answer(options, ORIGIN), asked).id == mine.id
    with pytest.raises(PasskeyError, match="origin"):
        check_sign_in(mine.answer(options, "https://other.example"), asked)
    another = replace(asked, stored=stored(Passkey(), mine.id))
    with pytest.raises(PasskeyError, match="invalid"):
        check_sign_in(mine.answer(options, ORIGIN), another)


@pytest.mark.parametrize(
    "options",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"challenge": "a", "rpId": "b"}',
        b'{"challenge": "a", "rpId": "b", "allowCredentials": 7}',
        json.dumps({"challenge": "a", "rpId": "b", "allowCredentials": [{"id": b64(bytes(32))}]}).encode(),
    ],
)
def test_what_does_not_ask_for_it_gets_no_answer(options: bytes) -> None:
    with pytest.raises(PasskeyUnaskedError):
        Passkey().answer(options, ORIGIN)


def attempt(role: Role = Role.DOOR):
    """The walk's look at the page that the shield changes."""
    walk = replace(web_walk(443, SITE), sessions={MAIL: "__Host-gambeson-session=x"})
    if role is Role.DOOR:
        made = [one for _, plan in plans(walk) for one in plan]
    else:
        made = list(PastTheDoors(walk, SITE, of_endpoint(SITE)).all())
    (found,) = [one for one in made if one.kind is Kind.SHIELD_ANSWER]
    assert found.expects == (POLICY,)
    return found


@pytest.mark.parametrize(
    ("heard", "outcome", "word"),
    [
        (Heard(200, (*PAGE, POLICY)), Outcome.REFUSED, "observed"),
        (Heard(200, (*PAGE, (POLICY[0], "default-src 'self'"), POLICY)), Outcome.REFUSED, "observed"),
        (Heard(200, PAGE), Outcome.ENTERED, "missing"),
        (Heard(200, (*PAGE, (POLICY[0], "default-src 'self'"))), Outcome.ENTERED, "missing"),
        (
            Heard(302, (("location", "/owa/auth/logon.aspx"), ("server", "x"))),
            Outcome.NOT_OFFERED,
            "not-tried",
        ),
        (Heard(200, (("content-type", "text/css"), ("server", "x"))), Outcome.NOT_OFFERED, "not-tried"),
        (Heard(503, PAGE), Outcome.CANNOT_SAY, "untold"),
        (Heard(0), Outcome.CANNOT_SAY, "untold"),
        (
            Heard(403, ((POLICY[0], "default-src 'none'"), ("x-content-type-options", "nosniff"))),
            Outcome.CANNOT_SAY,
            "untold",
        ),
    ],
)
def test_what_the_page_at_the_door_says_of_the_shield(heard: Heard, outcome: Outcome, word: str) -> None:
    one = attempt()
    reply = judge(one, [heard])
    assert reply.outcome is outcome
    (found,) = measured([Record(one, reply, 1.0)], [SHIELD])
    assert found.answer == word
    assert bool(found.why) == (word in ("untold", "not-tried"))
    assert found.effective is (False if word == "missing" else None)  # nothing else was measured here


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (Heard(200, PAGE), Outcome.ENTERED),
        (Heard(200, (*PAGE, POLICY)), Outcome.REFUSED),  # it is the server that adds it
        (Heard(401, PAGE), Outcome.REFUSED),
        (Heard(302, (("location", "/owa/auth/logon.aspx"),)), Outcome.REFUSED),
        (Heard(0), Outcome.REFUSED),
        (Heard(502), Outcome.CANNOT_SAY),
    ],
)
def test_the_same_page_past_the_door(heard: Heard, outcome: Outcome) -> None:
    one = attempt(Role.UPSTREAM)
    assert judge(one, [heard]).outcome is outcome
    assert one.rule == "guard.walk.past-the-doors"


def test_a_shield_that_changes_answers_is_effective_only_where_that_was_seen() -> None:
    known = Measured(SHIELD.id, "held", "closed", 1.0, "observed")
    assert (known.effective, known.word) == (True, "yes, observed")
    assert replace(known, answer="missing").word == "no: answers pass unchanged"
    unseen = replace(known, answer="not-tried", why="there is no portal")
    assert unseen.effective is None
    assert unseen.word == "cannot say (door: held, around: closed, answer: not-tried): there is no portal"
    assert replace(known, answer="none").effective is True


def test_without_a_session_it_is_said_why() -> None:
    walk = web_walk(443, SITE)
    made = [one for _, plan in plans(walk) for one in plan]
    assert not [one for one in made if one.kind is Kind.SHIELD_ANSWER]
    shape = next(one for one in made if one.kind is Kind.SHIELD and one.mechanism == SHIELD.id)
    records = [Record(shape, Reply(Outcome.REFUSED), time.time())]
    (found,) = measured(records, load_shields().shields, "there is no portal")
    assert (found.door, found.answer, found.why) == ("held", "not-tried", "there is no portal")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"portal": ""}, "there is no portal"),
        ({"portal": PORTAL}, "cannot be reached"),
    ],
)
def test_a_sign_in_that_fails_gives_its_reason(changes: dict[str, str], why: str) -> None:
    walk = replace(web_walk(1, SITE), **changes)  # nobody listens on port 1
    found = asyncio.run(sign_in(walk, Passkey(), [SITE]))
    assert not found.sessions
    assert why in found.reason


def test_no_secret_of_it_is_shown() -> None:
    mine = Passkey()
    assert repr(mine) == "Passkey(...)"
    assert "secret" not in repr(SignedIn({MAIL: "secret"}))
    assert "secret" not in repr(Ask("GET", "/", MAIL, headers=(("cookie", "secret"),)))
