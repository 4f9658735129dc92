"""Each mechanism's messages, read back by our own server side where it has it."""

import pytest

from gambeson.model.access import Mechanism, RawLogin
from gambeson.wire.dialogue import UpstreamCredential
from gambeson.wire.sasl import Exchange
from gambeson.wire.sasl_client import SignInError, SignInExchange


@pytest.mark.parametrize(
    ("credential", "login"),
    [
        (UpstreamCredential("PLAIN", "anna", "pw"), RawLogin(Mechanism.PLAIN, "anna", "pw")),
        (UpstreamCredential("PLAIN", "door", "pw", "anna"), RawLogin(Mechanism.PLAIN, "door", "pw", "anna")),
        (UpstreamCredential("LOGIN", "anna", "pw"), RawLogin(Mechanism.LOGIN, "anna", "pw")),
        (UpstreamCredential("EXTERNAL", "", "", "anna"), RawLogin(Mechanism.EXTERNAL, "", "", "anna")),
        (UpstreamCredential("OAUTHBEARER", "a,b=c", "t"), RawLogin(Mechanism.OAUTHBEARER, "a,b=c", "t")),
        (UpstreamCredential("XOAUTH2", "anna", "t"), RawLogin(Mechanism.XOAUTH2, "anna", "t")),
    ],
    ids=lambda value: getattr(value, "mechanism", ""),
)
@pytest.mark.parametrize("at_once", [True, False])
def test_our_server_understands_our_client(
    credential: UpstreamCredential, login: RawLogin, at_once: bool
) -> None:
    client, server = SignInExchange(credential), Exchange(credential.mechanism)
    outcome = server.step(client.initial() if at_once else None)
    while isinstance(outcome, bytes):
        outcome = server.step(client.answer())
    assert outcome == login
    with pytest.raises(SignInError):
        client.answer()


@pytest.mark.parametrize(
    "credential",
    [
        UpstreamCredential("CRAM-MD5", "anna", "pw"),
        UpstreamCredential("PLAIN", "anna\0root", "pw"),
        UpstreamCredential("OAUTHBEARER", "anna", "t\x01auth=Bearer other"),
        UpstreamCredential("PLAIN", "anna", "pw", "b\r\n"),
    ],
)
def test_what_would_mean_something_else_is_refused(credential: UpstreamCredential) -> None:
    with pytest.raises(SignInError):
        SignInExchange(credential)
