"""The keeper and the portal's sessions: a token of one's own for one application, and never anybody's password."""

from __future__ import annotations

from dataclasses import replace

import process_world as sample
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gambeson.model.access import DoorKind, Rung
from gambeson.model.asset import Account
from gambeson.model.server import Endpoint, SignIn
from gambeson.model.session_token import SESSION_PREFIX, Claims, octets, token
from gambeson.model.web import Product, Site, WebSignIn
from gambeson.process import keeper_messages as k
from gambeson.process import messages as m
from gambeson.process.keeper_core import KeeperCore
from gambeson.process.sealing import account_context

NOW = sample.NOW
HOST = "webmail.sample.example"
SITE = Site(
    "webmail",
    Product.ROUNDCUBE,
    (HOST,),
    Endpoint(DoorKind.WEBMAIL),
    organisation="o1",
    device_hosts=("devices.sample.example",),
    web_sign_in=WebSignIn.TOKEN,
    audience="webmail",
)
CLAIMS = Claims(
    "s1", "o1", "a1", "ada@sample.example", Rung.KNOWLEDGE_AND_CODE, HOST, NOW, NOW + 900, NOW + 36000
)
ASK = k.CredentialAsk("a1", "webmail", "webmail", "192.0.2.1")


def core(keys, **changes):
    changes.setdefault("sites", (SITE,))
    made = KeeperCore(keys, masters={"main": "x", "webmail": "x"})
    made.take(sample.index(keys.device, **changes))
    return made


def signed(keys, claims=CLAIMS, prefix=SESSION_PREFIX):
    said = octets(claims)
    return token(said, keys.session.sign(prefix + said))


def ask(keys, made, claims=CLAIMS, now=NOW + 1, text="", **fields):
    values = {name: getattr(ASK, name) for name in ASK.__struct_fields__}
    values |= {"session": text or signed(keys, claims)} | fields
    return made.answer("doors", "doors.1.0", k.CredentialAsk(**values), now)


@pytest.mark.parametrize("way", [WebSignIn.TOKEN, WebSignIn.HEADER])
def test_a_session_gets_a_token_for_its_application(keys, way):
    given = ask(keys, core(keys, sites=(replace(SITE, web_sign_in=way),)))
    assert (given.mechanism, given.authcid) == ("OAUTHBEARER", "ada")
    claims = jwt.decode(
        given.secret.decode(), ECKey.import_key(keys.token_pem.encode()), algorithms=["ES256"]
    ).claims
    assert (claims["aud"], claims["sub"]) == ("webmail", "ada")


def test_doors_get_the_public_half_of_the_session_key(keys):
    given = core(keys).answer("doors", "doors.1.0", k.KeeperHello(), NOW)
    assert given.session_pem == keys.session_pem
    assert "PRIVATE" not in given.session_pem
    assert keys.session_pem not in (keys.audit_pem, keys.token_pem)


@pytest.mark.parametrize(
    ("changes", "claims", "fields", "reason"),
    [
        ({}, {}, {"text": "nonsense"}, "session-malformed"),
        ({}, {}, {"secret": sample.ADA.text}, "not-proven"),
        ({}, {}, {"certificate": b"x"}, "not-proven"),
        ({}, {}, {"fingerprint": "ab" * 32}, "not-proven"),
        ({}, {}, {"now": NOW + 900}, "session-expired"),
        ({}, {}, {"now": NOW - 60}, "session-not-yet"),
        ({}, {}, {"account": "a2"}, "another-account"),
        ({}, {"account": "a2"}, {}, "another-account"),
        ({}, {"organisation": "o2"}, {}, "another-organisation"),
        ({}, {"rung": Rung.KNOWLEDGE}, {}, "not-proven"),
        ({}, {"rung": Rung.DEVICE_SECRET}, {}, "not-proven"),
        ({}, {"host": "other.sample.example"}, {}, "no-such-server"),
        ({}, {"host": "devices.sample.example"}, {}, "no-such-server"),
        ({}, {}, {"door": "eas"}, "another-door"),
        ({}, {}, {"door": "imap"}, "another-door"),
        ({}, {}, {"server": "main"}, "no-such-server"),
        ({"ended_sessions": ("s1",)}, {}, {}, "session-ended"),
        (
            {"accounts": (Account("a1", "o1", "ada@sample.example", enabled=False),)},
            {},
            {},
            "account-disabled",
        ),
        ({"accounts": ()}, {}, {}, "another-account"),
        ({"sites": (replace(SITE, organisation="o2"),)}, {}, {}, "no-such-server"),
        ({"sites": (replace(SITE, web_sign_in=WebSignIn.AS_IS),)}, {}, {}, "as-is"),
        ({"sites": (replace(SITE, web_sign_in=WebSignIn.BASIC),)}, {}, {}, "as-is"),
        ({"made_at": NOW - 4000}, {}, {}, "no-fresh-snapshot"),
        (
            {
                "sites": (replace(SITE, organisation=""),),
                "accounts": (
                    Account("a1", "o1", "ada@sample.example", upstream_login="bob@sample.example"),
                    Account("a2", "o2", "bob@sample.example"),
                ),
            },
            {},
            {},
            "login-of-another-organisation",
        ),
    ],
)
def test_refused(keys, changes, claims, fields, reason):
    answer = ask(keys, core(keys, **changes), replace(CLAIMS, **claims), **fields)
    assert isinstance(answer, m.Refused)
    assert answer.reason == reason


def test_a_signature_over_something_else_is_none(keys):
    for prefix in (b"", k.AUDIT_PREFIX):
        assert ask(keys, core(keys), text=signed(keys, prefix=prefix)).reason == "session-forged"


def test_a_session_never_gets_a_sealed_password(keys):
    box = keys.sealer.seal(b"her password", account_context("o1", "a1"))
    accounts = (Account("a1", "o1", "ada@sample.example", sealed_password=box),)
    for way in WebSignIn:
        site = replace(SITE, web_sign_in=way, device_sign_in=SignIn.SEALED)
        answer = ask(keys, core(keys, accounts=accounts, sites=(site,)))
        assert b"her password" not in getattr(answer, "secret", b"")


def test_sites_are_for_web_doors_and_mail_servers_for_mail_doors(keys):
    doors = (DoorKind.IMAP, DoorKind.EAS)
    devices = tuple(replace(d, doors=doors) for d in sample.snapshot(1, keys.device).devices)
    box = keys.sealer.seal(b"her password", account_context("o1", "a1"))
    accounts = (Account("a1", "o1", "ada@sample.example", sealed_password=box),)
    site = replace(SITE, web_sign_in=WebSignIn.AS_IS)
    made = core(keys, devices=devices, accounts=accounts, sites=(site,))

    def device(door, server):
        return ask(keys, made, session="", secret=sample.ADA.text, door=door, server=server)

    assert device("eas", "webmail").secret == b"her password"
    assert device("imap", "main").mechanism == "OAUTHBEARER"
    assert device("imap", "webmail").reason == "no-such-server"
    assert device("eas", "main").reason == "no-such-server"
    assert device("ews", "webmail").reason == "another-door"
