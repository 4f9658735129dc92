"""Signing in at Debian's Dovecot with the dialogues that the doors use: every protocol, way and kind of TLS.

Also what its penalty for failed logins means for everyone behind one door, and that telling it the
client's address ends that.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from gambeson.process.signin.token import token as keepers_token
from gambeson.wire.dialogue import ClientDialogue, Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from gambeson.wire.imap_client import ImapClient
from gambeson.wire.pop3_client import Pop3Client
from gambeson.wire.proxyproto import build_v2
from gambeson.wire.sieve_client import SieveClient
from peers.dovecot import Dovecot, missing
from peers.process import free_port

pytestmark = [pytest.mark.peer("dovecot"), pytest.mark.skipif(bool(missing()), reason=missing() or "Dovecot")]

ANNA = "anna@example.org"
NUMBERS = itertools.count(1)
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
CLIENTS: dict[str, Callable[..., ClientDialogue]] = {
    "imap": ImapClient,
    "imaps": ImapClient,
    "pop3": Pop3Client,
    "pop3s": Pop3Client,
    "sieve": SieveClient,
}
PLAIN = UpstreamCredential("PLAIN", ANNA, "pass word")
MASTER = UpstreamCredential("PLAIN", "gate", "master-secret", ANNA)


def token(key: ec.EllipticCurvePrivateKey = KEY, **changes: object) -> UpstreamCredential:
    """An ES256 token for one account and one server. It is dated back: Dovecot looks at its clock once a turn of
    its loop, and one login in some hundreds would find a token of this very second "issued in future"."""
    now = int(time.time())
    claims = {
        "iss": "gambeson",
        "aud": "dovecot-1",
        "sub": ANNA,
        "iat": now - 5,
        "nbf": now - 5,
        "exp": now + 60,
    }
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    header = {"alg": "ES256", "typ": "JWT"}
    return UpstreamCredential(
        "OAUTHBEARER", ANNA, jwt.encode(header, claims | changes, ECKey.import_key(pem))
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Dovecot]:
    users = {ANNA: "pass word", "berta@example.org": "berta-secret"}
    with Dovecot(
        users=users,
        masters={"gate": "master-secret"},
        token_key=PUBLIC.decode(),
        token_kid="key-1",
        audience="dovecot-1",
        extra="auth_failure_delay = 0\n",
    ) as server:
        yield server


def sign_in(
    server: Dovecot,
    listener: str,
    credential: UpstreamCredential,
    origin: Origin = Origin(),
    *,
    starttls: bool = False,
    trusted: bool = False,
    first: bytes = b"",
) -> Ready | Failed:
    """One sign-in over a real connection: what the edge does, in the plainest form. ``first`` goes before all."""
    dialogue = CLIENTS[listener](credential=credential, origin=origin, starttls=starttls, trusted=trusted)
    context = ssl.create_default_context(cafile=str(server.ca))
    connection = socket.create_connection(("127.0.0.1", server.ports[listener]), 30)
    connection.sendall(first)
    if listener in ("imaps", "pop3s"):
        connection = context.wrap_socket(connection, server_hostname="localhost")
    try:
        todo = dialogue.start()
        while True:
            for command in todo:
                match command:
                    case Send(data):
                        connection.sendall(data)
                    case Ready() | Failed():
                        return command
            if any(isinstance(command, StartTls) for command in todo):
                connection = context.wrap_socket(connection, server_hostname="localhost")
                todo = dialogue.tls_started()
            else:
                data = connection.recv(65536)
                if not data:
                    return Failed("unavailable", "the connection ended")
                todo = dialogue.receive(data)
    finally:
        connection.close()


WAYS = [("imap", False), ("imap", True), ("imaps", False), ("pop3", False), ("pop3", True), ("pop3s", False)]
WAYS += [("sieve", False), ("sieve", True)]
every_way = pytest.mark.parametrize(
    ("listener", "starttls"), WAYS, ids=[f"{name}{'-starttls' if tls else ''}" for name, tls in WAYS]
)


@every_way
@pytest.mark.parametrize(
    "make",
    [
        lambda: PLAIN,
        lambda: UpstreamCredential("LOGIN", ANNA, "pass word"),
        lambda: MASTER,
        token,
        lambda: UpstreamCredential("XOAUTH2", ANNA, token().secret),
        lambda: UpstreamCredential(
            "OAUTHBEARER", ANNA, keepers_token(ANNA, "dovecot-1", "gambeson", KEY, "key-1", time.time())
        ),
    ],
    ids=["plain", "login", "master", "oauthbearer", "xoauth2", "keepers-token"],
)
def test_signs_in(
    upstream: Dovecot, listener: str, starttls: bool, make: Callable[[], UpstreamCredential]
) -> None:
    origin = Origin("203.0.113.7", 4711, f"s-{listener}-{starttls:d}-{make().mechanism}", "phone")
    outcome = sign_in(upstream, listener, make(), origin, starttls=starttls, trusted=True)
    assert isinstance(outcome, Ready), f"{outcome}\n{upstream.log()[-2000:]}"
    upstream.wait_for_log(rf"Login: user=<{ANNA}>, .*rip=203\.0\.113\.7, .*session=<{origin.session}>")


@pytest.mark.parametrize("listener", ["imap", "pop3", "sieve"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: UpstreamCredential("PLAIN", ANNA, "wrong"),
        lambda: UpstreamCredential("PLAIN", "gate", "wrong", ANNA),
        lambda: UpstreamCredential("PLAIN", ANNA, "pass word", "berta@example.org"),  # no master
        lambda: token(ec.generate_private_key(ec.SECP256R1())),
        lambda: token(aud="another-server"),
        lambda: token(iss="another-house"),
        lambda: token(exp=int(time.time()) - 60),
        lambda: token(iat=int(time.time()) + 30),
        lambda: UpstreamCredential("OAUTHBEARER", "berta@example.org", token().secret),
    ],
    ids=["password", "master", "no-master", "key", "audience", "issuer", "expired", "future", "name"],
)
def test_a_wrong_credential_is_refused(
    upstream: Dovecot, listener: str, make: Callable[[], UpstreamCredential]
) -> None:
    # An address of its own for each, so that Dovecot's penalty for failures delays no other test.
    origin = Origin(f"198.51.100.{next(NUMBERS)}", 9)
    outcome = sign_in(upstream, listener, make(), origin, starttls=True, trusted=True)
    assert isinstance(outcome, Failed)
    assert outcome.kind == "refused", outcome


@pytest.mark.parametrize("listener", ["imap", "pop3", "sieve"])
def test_the_origin_of_an_untrusted_door_is_not_believed(listener: str) -> None:
    with Dovecot(users={ANNA: "pass word"}, trusted="192.0.2.0/24") as server:
        origin = Origin("203.0.113.7", 4711, "s1")
        outcome = sign_in(server, listener, PLAIN, origin, trusted=True)
        assert isinstance(outcome, Ready), outcome
        server.wait_for_log(rf"Login: user=<{ANNA}>, .*rip=127\.0\.0\.1")


def test_the_origin_in_a_proxy_header() -> None:
    port = free_port()
    extra = f"""
haproxy_trusted_networks = 127.0.0.0/8
service imap-login {{
  inet_listener behind-a-door {{
    port = {port}
    haproxy = yes
  }}
}}
"""
    with Dovecot(users={ANNA: "pass word"}, extra=extra) as server:
        server.ports["imap"] = port
        for source, destination in (("203.0.113.8", "192.0.2.1"), ("2001:db8::8", "2001:db8::1")):
            header = build_v2(source, 4711, destination, 143, [(0xE0, b"ab" * 32)])
            outcome = sign_in(server, "imap", PLAIN, starttls=True, first=header)
            assert isinstance(outcome, Ready), outcome
            server.wait_for_log(rf"Login: user=<{ANNA}>, .*rip={source}, lip={destination}")


def timed(server: Dovecot, credential: UpstreamCredential, origin: Origin) -> tuple[type, float]:
    begun = time.monotonic()
    outcome = sign_in(server, "imap", credential, origin, trusted=bool(origin.address))
    return type(outcome), time.monotonic() - begun


@pytest.mark.slow
def test_failures_of_one_delay_everyone_behind_a_door_that_does_not_tell_the_origin() -> None:
    """Why the door tells it: this is what happens without. Dovecot's auth penalty counts by address."""
    with Dovecot(users={ANNA: "pass word"}) as server:
        for guess in ("wrong-1", "wrong-2"):
            assert timed(server, UpstreamCredential("PLAIN", "berta", guess), Origin())[0] is Failed
        outcome, seconds = timed(server, PLAIN, Origin())
        assert outcome is Ready
        assert seconds > 3


@pytest.mark.slow
def test_failures_of_one_delay_nobody_else_when_the_origin_is_told() -> None:
    with Dovecot(users={ANNA: "pass word"}) as server:
        for guess in ("wrong-1", "wrong-2"):
            attacker = Origin("198.51.100.66", 1)
            assert timed(server, UpstreamCredential("PLAIN", "berta", guess), attacker)[0] is Failed
        outcome, seconds = timed(server, PLAIN, Origin("203.0.113.7", 2))
        assert outcome is Ready
        assert seconds < 2
