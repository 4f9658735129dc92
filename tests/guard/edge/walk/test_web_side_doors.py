"""Web side doors, planted one at a time, most of them in the real gate before the emulator: each is found by its name,
and nothing is found where nothing is wrong."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gambeson.guard.core import decide as decide_module
from gambeson.guard.core import identify as identify_module
from gambeson.guard.core.session_token import SESSION_PREFIX, Claims, octets, token
from gambeson.guard.core.walk import Kind, Outcome, Place, Record, Role, side_doors, untried
from gambeson.guard.core.walk_http import WEB_RULES
from gambeson.guard.core.walk_http_maker import SESSION, WebWalk
from gambeson.guard.core.walk_http_past import PastTheDoors, back_end_attempts
from gambeson.guard.core.walk_http_plan import Plan, plans
from gambeson.guard.core.walk_http_portal import portal_attempts
from gambeson.guard.core.walk_shields import measured
from gambeson.guard.core.web.shields import ShieldSet, load_shields
from gambeson.guard.edge import judgement as judgement_module
from gambeson.guard.edge.walk.http_places import of_endpoint
from gambeson.guard.edge.web import sessions as sessions_module
from gambeson.guard.edge.web.connection import WebConnection
from gambeson.model.access import DoorKind, Listener, Mode, Rung
from gambeson.model.finding import Severity
from gambeson.model.rule import ModeEntry, PolicyException
from gambeson.model.web import Product, Site, WebSignIn
from guard.edge.doors import organisation
from guard.edge.web.gates import keys

from .webstage import ALICE, CANARY, DEVICES, MAIL, PORTAL, UPSTREAM_PASSWORD, leaky, rules, walked, wide

EWS, EAS, OWA = DoorKind.EWS, DoorKind.EAS, DoorKind.OWA
FOUND: set[str] = set()  # every kind that a test of this file planted and found


def finds(records, rule: str, *beside: str) -> None:
    """``rule`` is found, and nothing but it and what comes of it (``beside``)."""
    got = rules(records)
    assert rule in got, [(r.attempt.asks[-1].shown, r.reply.said) for r in records if r.side_door][:10]
    assert got <= {rule, *beside}, got
    FOUND.add(rule)


def with_policy(**changes):
    return lambda made: replace(made, policies=(replace(made.policies[0], **changes),))


def mode(mode: Mode, *doors: DoorKind):
    return with_policy(modes=tuple(ModeEntry(door, mode, time.time() + 60) for door in doors))


def exception(until: float) -> PolicyException:
    return PolicyException("printer", EWS, Rung.KNOWLEDGE, "ann", "old", until, accounts=(ALICE,))


def without_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The door judges an admission once more before anything is forwarded; what is planted before that would be
    stopped there."""
    monkeypatch.setattr(WebConnection, "_still", lambda self, forward: True)


# -- intact


def test_nothing_is_invented_where_nothing_is_wrong() -> None:
    records = walked()
    assert rules(records) == set(), [(r.attempt.asks[-1].shown, r.reply.said) for r in records if r.side_door]
    assert list(untried(records)) == []
    controls = [r for r in records if r.attempt.control]
    assert [r.reply.outcome for r in controls] == [Outcome.ENTERED] * 2  # one at each host
    assert len(records) > 500
    assert {r.attempt.door for r in records} >= {EAS, EWS, OWA, DoorKind.ECP, DoorKind.MAPI, DoorKind.OAB}
    assert all(m.door == "held" for m in measured(records))


def test_no_secret_is_in_what_is_told() -> None:
    records = walked(mode(Mode.OBSERVE, EWS))
    told = repr(records) + repr([r.plain() for r in records]) + repr(side_doors(records, "o1", 1.0))
    assert UPSTREAM_PASSWORD not in told
    assert CANARY.secret not in told


# -- the policy


def test_observe_mode_that_was_forgotten_at_ews() -> None:
    finds(walked(mode(Mode.OBSERVE, EWS)), "password", "reaches-server")


def test_warn_mode_that_was_forgotten_at_activesync() -> None:
    finds(walked(mode(Mode.WARN, EAS)), "password", "reaches-server")


def test_observe_mode_that_was_forgotten_at_owa() -> None:
    finds(walked(mode(Mode.OBSERVE, OWA)), "no-session", "reaches-server", "password")


def test_what_a_mode_declares_is_told_apart() -> None:
    records = walked(mode(Mode.OBSERVE, EWS))
    severities = {f.severity for f in side_doors(records, "o1", 1.0, lambda record: "mode observe")}
    assert severities == {Severity.HIGH}


def test_the_emergency_bypass_left_open() -> None:
    records = walked(lambda made: replace(made, bypass_until=(("o1", time.time() + 60),)))
    finds(records, "password", "no-session", "reaches-server")
    assert {r.attempt.door for r in records if r.side_door} >= {EAS, EWS, OWA}


def test_a_service_account_exempted_at_ews() -> None:
    finds(walked(with_policy(exceptions=(exception(time.time() + 60),))), "password", "reaches-server")


def test_an_exception_that_has_ended_opens_nothing() -> None:
    assert rules(walked(with_policy(exceptions=(exception(time.time() - 60),)))) == set()


def test_an_exception_that_has_ended_and_is_still_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    real = decide_module.decide
    without_second_look(monkeypatch)
    monkeypatch.setattr(judgement_module, "decide", lambda r, i, now, max_age: real(r, i, now - 120, max_age))
    finds(walked(with_policy(exceptions=(exception(time.time() - 60),))), "password", "reaches-server")


@pytest.mark.parametrize(
    ("floor", "rule", "beside"),
    [
        ("floor:device", "device-blocked", ("device-lost", "credential-revoked", "credential-expired")),
        ("floor:doors", "door-not-allowed", ()),
    ],
)
def test_a_floor_that_is_not_asked(
    floor: str, rule: str, beside: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tuple(each for each in decide_module.HARD if each[0] != floor)
    monkeypatch.setattr(decide_module, "HARD", left)
    # The default policy's own rule asks for a registered device too; here only the floors stand between.
    finds(walked(lambda made: replace(made, policies=organisation().policies)), rule, *beside)


def test_a_secret_taken_for_anybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    without_second_look(monkeypatch)
    monkeypatch.setattr(identify_module, "_names", lambda *_: True)
    finds(walked(), "another-account")


def test_revocation_that_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from gambeson.guard.core import floors

    without_second_look(monkeypatch)
    for module in (identify_module, floors):
        monkeypatch.setattr(module, "alive", lambda credential, device, now: "")
    finds(walked(), "credential-revoked", "credential-expired")


# -- sessions and headers


def test_a_session_cookie_whose_signature_is_not_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    from gambeson.model.session_token import read, split

    monkeypatch.setattr(sessions_module, "open_token", lambda text, key, host, now: read(split(text)[0]))
    finds(walked(), "session-forged", "reaches-server")


def test_a_header_that_is_believed() -> None:
    hole = lambda request, client: bool(request.header("x-remote-user"))  # noqa: E731
    finds(walked(hole=hole), "spoofed-header")


def test_inside_addresses_that_are_believed() -> None:
    hole = lambda request, client: request.header("x-forwarded-for") == "127.0.0.1"  # noqa: E731
    finds(walked(hole=hole), "spoofed-header")


# -- the gate


def holes(scheme: str):
    return lambda request, client: request.header("authorization").startswith(scheme)


def test_any_password_at_all() -> None:
    finds(
        walked(hole=holes("Basic")),
        "any-password",
        "password",
        "floor-not-held",
        "closed-path",
        *(held.rule for held in CANARY.held),
        "door-not-allowed",
    )


def test_any_bearer_token() -> None:
    finds(walked(hole=holes("Bearer")), "token")


def test_any_ticket() -> None:
    finds(walked(hole=lambda r, c: r.header("authorization").startswith(("NTLM", "Negotiate"))), "mechanism")


def test_windows_sign_in_that_is_handed_on() -> None:
    finds(walked(hole=holes("NTLM"), signed=False), "reaches-server")


def test_options_before_the_policy() -> None:
    finds(
        walked(hole=lambda r, c: r.method == "OPTIONS" and not r.header("authorization")),
        "no-login",
        "session-forged",
        "spoofed-header",
        "certificate-unknown",
    )


def test_a_directory_handed_on_without_a_sign_in() -> None:
    finds(
        walked(hole=lambda r, c: r.canonical.startswith("/oab/"), signed=False), "reaches-server", "password"
    )


def test_autodiscover_anonymous() -> None:
    hole = lambda r, c: r.canonical == "/autodiscover/autodiscover.xml"  # noqa: E731
    finds(walked(hole=hole), "no-login", "password")


def planted(path: str) -> str:
    """A line that lets everything under ``path`` through, with no proof."""
    head = '[[line]]\nname = "planted"\nlane = "public"\nmethods = ["GET", "POST", "OPTIONS"]\n'
    return f'{head}path = "{path}"\nparameters = ["*"]'


@pytest.mark.parametrize("path", ["/powershell/", "/rpc/**", "/ecp/default.aspx", "/api/**"])
def test_a_grammar_line_that_is_too_wide(path: str) -> None:
    records = walked(grammar=wide(planted(path)), shields=ShieldSet(()))
    finds(records, "closed-path", "shield-passed", "path-trick")


def test_grammar_and_shields_both_open() -> None:
    records = walked(grammar=wide(planted("/**")), shields=ShieldSet(()))
    assert "shield-passed" in rules(records)
    assert {m.door for m in measured(records)} == {"passed"} or any(
        m.door == "passed" for m in measured(records)
    )
    FOUND.add("shield-passed")


def test_shields_alone_hold_where_the_grammar_does_not() -> None:
    records = walked(grammar=wide(planted("/**")))
    held = [m for m in measured(records) if m.door == "held"]
    assert len(held) == len([s for s in load_shields().shields if s.product is Product.EXCHANGE])


def test_a_device_host_that_serves_peoples_pages() -> None:
    def planted(made):
        (site,) = made.sites
        return replace(made, sites=(replace(site, hosts=(*site.hosts, DEVICES), device_hosts=()),))

    finds(walked(planted), "device-host-pages")


# -- past the door


def past(walk, site):
    place = of_endpoint(site)
    return [(place, tuple(PastTheDoors(walk, site, place).all()))]


def test_the_mail_server_can_be_reached_past_us() -> None:
    records = walked(around=past)
    finds(records, "past-the-doors", "shield-past-the-doors", "no-login")
    FOUND.add("shield-past-the-doors")
    assert {m.around for m in measured(records)} == {"reached"}
    assert not any(m.effective for m in measured(records))
    [finding] = [f for f in side_doors(records, "o1", 1.0) if f.rule == "guard.walk.past-the-doors"]
    assert (finding.asset_kind, finding.asset_name) == ("server", "exchange web")
    assert all(CANARY.secret not in str(ask.headers) for r in records for ask in r.attempt.asks)


def test_a_back_end_port() -> None:
    def around(walk, site):
        place = Place("port 444", Listener.HTTPS, Role.FOUND, "127.0.0.1", site.endpoint.port)
        return [(place, tuple(back_end_attempts(walk, site, place)))]

    finds(walked(around=around), "back-end-port")


def test_a_closed_port_is_rightly_closed() -> None:
    def around(walk, site):
        place = Place("port 444", Listener.HTTPS, Role.FOUND, "127.0.0.1", 1)
        return [(place, tuple(back_end_attempts(walk, site, place)))]

    records = walked(around=around)
    assert rules(records) == set()
    assert list(untried(records)) == []


def signed(headers: dict[str, str]) -> bool:
    from guard.edge.web.gates import basic

    return headers.get("authorization") == basic(ALICE, UPSTREAM_PASSWORD)


@pytest.mark.parametrize(
    "path", ["/EWS/", "/OAB/", "/Microsoft-Server-ActiveSync", "/mapi/", "/autodiscover/", "/owa/", "/ecp/"]
)
def test_one_directory_left_open_past_us(path: str) -> None:
    leak = lambda m, t, h, b, c: "200 OK" if t.startswith(path) and signed(h) else "401 No"  # noqa: E731
    finds(leaky(leak, past, tls=False), "past-the-doors", "shield-past-the-doors")


def test_autodiscover_anonymous_past_us() -> None:
    leak = lambda m, t, h, b, c: "200 OK" if t == "/autodiscover/autodiscover.svc" else "401 No"  # noqa: E731
    finds(leaky(leak, past, tls=False), "no-login", "shield-past-the-doors")


@pytest.mark.parametrize("with_signature", [False, True])
def test_a_trusted_header_that_is_believed_bare(with_signature: bool) -> None:
    """The application shows its page to whoever writes the header; or with any signature at all."""

    def leak(method, target, headers, body, certificate):
        named = headers.get("x-remote-user", "") and (
            not with_signature or headers.get("x-gambeson-signature")
        )
        return f"200 OK|mail of {headers['x-remote-user']}" if named else "200 OK|please sign in"

    records = leaky(leak, past, tls=False, product=Product.ROUNDCUBE, web_sign_in=WebSignIn.HEADER)
    finds(records, "bare-header", "shield-past-the-doors")


def test_an_application_that_wants_the_signature_is_no_side_door() -> None:
    leak = lambda m, t, h, b, c: "200 OK|please sign in"  # noqa: E731
    records = leaky(leak, past, tls=False, product=Product.ROUNDCUBE, web_sign_in=WebSignIn.HEADER)
    assert rules(records) == {"shield-past-the-doors"}
    bare = [r for r in records if r.attempt.rule == "guard.walk.bare-header"]
    assert [r.reply.outcome for r in bare] == [Outcome.REFUSED] * 2


def test_an_unsigned_token_past_us() -> None:
    def leak(method, target, headers, body, certificate):
        given = headers.get("authorization", "")
        return f"200 OK|mail of {ALICE}" if given and not signed(headers) else "200 OK|please sign in"

    finds(leaky(leak, past, tls=False, product=Product.ROUNDCUBE), "token", "shield-past-the-doors")


# -- a door that leaks in its wire


def at_door(walk, site):
    return [each for each in plans(walk) if each[0].name != f"https {PORTAL}"]


def test_a_leaky_door_without_a_leak_has_no_side_door() -> None:
    assert rules(leaky(lambda *_: "", at_door)) == set()


def test_a_disguised_path() -> None:
    finds(leaky(lambda m, t, h, b, c: "200 OK" if "%2e" in t or ".." in t else "", at_door), "path-trick")


def test_another_host() -> None:
    finds(
        leaky(lambda m, t, h, b, c: "200 OK" if "invalid" in h.get("host", "") else "", at_door), "host-trick"
    )


def test_plaintext_on_the_https_port() -> None:
    records = leaky(lambda *_: "200 OK", lambda walk, site: at_door(walk, site)[:1], tls=False)
    said = {r.attempt.mechanism for r in records if r.side_door}
    assert "no TLS" in said
    FOUND.add("host-trick")


def test_a_door_that_asks_for_a_sign_in_where_a_shield_should_stand() -> None:
    records = leaky(lambda *_: "", at_door, otherwise="401 Unauthorized")
    finds(records, "shield-passed", "floor-not-held")
    assert any("asks for a sign-in" in f.title for f in side_doors(records, "o1", 1.0))


# -- the portal


def at_portal(walk, site):
    there = replace(walk, portal=PORTAL)
    return [(there.place(PORTAL), tuple(portal_attempts(there)))]


def portal(leak) -> list:
    return leaky(leak, at_portal, otherwise="403 Forbidden")


def test_a_portal_that_is_tight() -> None:
    records = portal(lambda *_: "")
    assert rules(records) == set()
    assert len(records) >= 8


def test_a_portal_that_takes_a_password_alone() -> None:
    def leak(method, target, headers, body, certificate):
        if (
            target == "/sign-in"
            and b"what+the+keeper" in body
            and headers.get("origin", "").startswith(f"https://{PORTAL}")
        ):
            return (
                "ours 303 See Other\r\nlocation: /\r\nset-cookie: __Host-gambeson-portal=here; Path=/; Secure"
            )
        return ""

    finds(portal(leak), "portal-password-alone")


def test_a_portal_that_enrols_without_a_code() -> None:
    finds(
        portal(lambda m, t, h, b, c: "ours 303 See Other\r\nlocation: /factors/new" if t == "/enrol" else ""),
        "portal-enrolment",
    )


@pytest.mark.parametrize(
    "tells", ["ours 403 Forbidden|who?", "ours 404 Not Found", "ours 403 Forbidden\r\nx-known: no"]
)
def test_a_portal_that_tells_names(tells: str) -> None:
    finds(portal(lambda m, t, h, b, c: tells if b"gambeson-walk-" in b else ""), "portal-tells-names")


def test_a_portal_that_obeys_other_pages() -> None:
    leak = lambda m, t, h, b, c: "ours 303 See Other" if m == "POST" and "origin" not in h else ""  # noqa: E731
    finds(portal(leak), "portal-other-page")


def test_a_portal_that_takes_a_made_up_session() -> None:
    def leak(method, target, headers, body, certificate):
        if target.startswith("/enter") and "__Host-gambeson-portal=" in headers.get("cookie", ""):
            return "ours 303 See Other\r\nlocation: https://mail.example.org/.gambeson/enter?code=abc"
        return ""

    finds(portal(leak), "portal-names-session")


def test_a_certificate_that_nobody_registered() -> None:
    finds(
        leaky(lambda m, t, h, b, certificate: "200 OK" if certificate else "", at_door), "certificate-unknown"
    )


def seen_with_a_session(shields: ShieldSet) -> list[Record]:
    """Alice's own session, signed by the keeper's key, at the real gate with these shields."""

    def around(walk: WebWalk, site: Site) -> list[Plan]:
        now, named = time.time(), walk.named(MAIL)
        claims = Claims(
            "s1", "o1", "a1", ALICE, Rung.KNOWLEDGE_AND_CODE, named, now - 1, now + 600, now + 3600
        )
        signed = octets(claims)
        value = token(signed, keys().session.sign(SESSION_PREFIX + signed))
        made = plans(replace(walk, sessions={MAIL: f"{SESSION}={value}"}))
        few = (Kind.SHIELD, Kind.SHIELD_ANSWER)
        return [(where, tuple(one for one in plan if one.kind in few)) for where, plan in made]

    return walked(shields=shields, around=around)


def test_pages_that_come_without_what_a_shield_adds() -> None:
    (mail_script,) = [one for one in load_shields().shields if one.answers]
    idle = replace(mail_script, answers=())
    records = seen_with_a_session(
        ShieldSet([idle if s is mail_script else s for s in load_shields().shields])
    )
    finds(records, "shield-answer-missing")
    told = {one.shield: one for one in measured(records, load_shields().shields)}[mail_script.id]
    assert (told.door, told.answer, told.effective) == ("held", "missing", False)


def test_pages_that_come_with_what_a_shield_adds() -> None:
    records = seen_with_a_session(load_shields())
    assert rules(records) == set()
    answers = {one.shield: one.answer for one in measured(records, load_shields().shields)}
    assert answers.pop("owa-mail-script") == "observed"
    assert set(answers.values()) == {"none"}


def test_at_least_twenty_kinds_were_planted_and_every_rule_of_the_web() -> None:
    if len(FOUND) < 5:
        pytest.skip("only counts after the tests above")
    assert len(FOUND) >= 20
    assert set(WEB_RULES) <= FOUND
