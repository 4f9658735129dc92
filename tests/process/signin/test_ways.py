"""The four ways to sign in upstream, without the keeper around them."""

from __future__ import annotations

import pytest

from gambeson.model import device_secret
from gambeson.model.access import Mechanism, RawLogin
from gambeson.model.asset import Account
from gambeson.model.server import MailServer, SignIn
from gambeson.process.sealing import Sealer, SealingError, account_context
from gambeson.process.signin import as_is, master, sealed

ADA = Account("a1", "o1", "ada@sample.example")
SERVER = MailServer("main", sign_in=SignIn.MASTER, master_login="door")


def test_master_needs_login_and_password():
    given = master.credential(ADA, SERVER, {"main": "m"})
    assert (given.mechanism, given.authcid, given.authzid, given.secret) == (
        "PLAIN",
        "door",
        "ada@sample.example",
        "m",
    )
    for server, passwords in ((SERVER, {}), (MailServer("main"), {"main": "m"})):
        with pytest.raises(master.NoMasterError, match="server main"):
            master.credential(ADA, server, passwords)


def test_sealed_says_when_it_must_be_asked_anew():
    sealer = Sealer(bytes(32))
    with pytest.raises(SealingError, match="asked anew"):
        sealed.credential(ADA, sealer)
    box = sealer.seal(b"\xff\xfe", account_context("o1", "a1"))
    with pytest.raises(SealingError, match="no text"):
        sealed.credential(Account("a1", "o1", "ada@sample.example", sealed_password=box), sealer)


def test_as_is_passes_a_password_and_never_a_device_secret():
    given = as_is.credential(RawLogin(Mechanism.PLAIN, "ada", "pässword"), "ada2")
    assert (given.authcid, given.secret, given.authzid) == ("ada2", "pässword", "")
    secret = device_secret.make(bytes(23)).text
    for password in ("", secret, secret.upper()):
        with pytest.raises(as_is.NothingToPassOnError):
            as_is.credential(RawLogin(Mechanism.PLAIN, "ada", password))
