"""The password box opens with its key, for its session, at its host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.portal import box as portal_box
from gambeson.guard.core.web.password_box import read_key, seal, unseal

KEY, NONCE = bytes(range(32)), bytes(range(12))
BOX = seal("pä ss", KEY, NONCE, "s1", "mail.example.org:8443")


def test_it_opens_where_it_belongs():
    assert unseal(BOX, KEY, "s1", "mail.example.org") == "pä ss"
    assert "pä ss".encode() not in BOX


def test_it_opens_nowhere_else():
    assert unseal(BOX, bytes(32), "s1", "mail.example.org") is None
    assert unseal(BOX, KEY, "s2", "mail.example.org") is None
    assert unseal(BOX, KEY, "s1", "webmail.example.org") is None
    assert unseal(BOX[:-1], KEY, "s1", "mail.example.org") is None
    assert unseal(b"", KEY, "s1", "mail.example.org") is None
    assert unseal(BOX, b"short", "s1", "mail.example.org") is None


@given(st.text(max_size=80))
def test_any_cookie_is_a_key_or_none(text):
    assert len(read_key(text)) in (0, 32)


def test_a_key_as_the_cookie_has_it():
    assert read_key(KEY.hex()) == KEY


def test_the_portal_makes_the_same_box():
    made = portal_box.seal("pä ss", KEY, NONCE, portal_box.context("s1", "mail.example.org"))
    assert made == BOX
