"""Signing in at a ManageSieve server: failures told apart, hostile servers, any octets."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.dialogue import Command, Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from gambeson.wire.limits import MAX_UPSTREAM_ANSWERS, MAX_UPSTREAM_LINE
from gambeson.wire.sieve_client import SieveClient

PLAIN = UpstreamCredential("PLAIN", "anna", "pw")
HELLO = b'"SIEVE" "fileinto"\r\n"SASL" "PLAIN LOGIN OAUTHBEARER EXTERNAL"\r\n"STARTTLS"\r\n"XCLIENT"\r\nOK "hi"\r\n'


def client(credential: UpstreamCredential = PLAIN, origin: Origin = Origin(), **options: bool) -> SieveClient:
    return SieveClient(credential=credential, origin=origin, **options)


def said(commands: list[Command]) -> bytes:
    return b"".join(c.data for c in commands if isinstance(c, Send))


def test_ready_with_capabilities_and_what_came_behind() -> None:
    upstream = client()
    assert said(upstream.receive(HELLO)) == b'AUTHENTICATE "PLAIN" "AGFubmEAcHc="\r\n'
    told = (b"SIEVE fileinto", b"SASL PLAIN LOGIN OAUTHBEARER EXTERNAL", b"STARTTLS", b"XCLIENT")
    assert said(upstream.receive(b'OK "in"\r\n')) == b"CAPABILITY\r\n"
    assert upstream.receive(HELLO + b"more") == [Ready(told, b"in", b"more")]
    assert upstream.receive(b"more") == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'NO "Authentication failed."', "refused"),
        (b"NO", "refused"),
        (b'NO (AUTH-TOO-WEAK) "x"', "refused"),
        (b'NO (TRYLATER) "later"', "unavailable"),
        (b'NO (REFERRAL "sieve://x") "moved"', "unavailable"),
        (b'BYE "shutting down"', "unavailable"),
        (b'"challenge"', "protocol"),
        (b'"a" "b"', "protocol"),
        (b"+OK", "protocol"),
        (b"", "protocol"),
    ],
)
def test_failures_are_told_apart(answer: bytes, kind: str) -> None:
    upstream = client()
    upstream.receive(HELLO)
    [failed] = upstream.receive(answer + b"\r\n")
    assert isinstance(failed, Failed)
    assert failed.kind == kind


@pytest.mark.parametrize("answer", [b"OK\r\n", b"NO\r\n"])
def test_a_server_that_does_not_tell_its_capabilities_is_not_joined(answer: bytes) -> None:
    upstream = client()
    upstream.receive(HELLO)
    upstream.receive(b"OK\r\n")
    [failed] = upstream.receive(answer)
    assert failed == Failed("protocol", "the mail server does not tell its capabilities")


def test_empty_initial_response_and_long_one() -> None:
    upstream = client(UpstreamCredential("EXTERNAL", "", ""))
    assert said(upstream.receive(HELLO)) == b'AUTHENTICATE "EXTERNAL" ""\r\n'
    upstream = client(UpstreamCredential("OAUTHBEARER", "anna", "t" * 900))
    assert said(upstream.receive(HELLO)).startswith(b'AUTHENTICATE "OAUTHBEARER" {1232+}\r\nbixhPWFubmEs')


def test_error_challenge_of_a_token_is_acknowledged() -> None:
    upstream = client(UpstreamCredential("OAUTHBEARER", "anna", "t"))
    upstream.receive(HELLO)
    assert said(upstream.receive(b'"eyJzdGF0dXMiOiI0MDEifQ=="\r\n')) == b'"AQ=="\r\n'
    assert upstream.receive(b'NO "bad token"\r\n') == [Failed("refused", "bad token")]


def test_starttls_or_nothing() -> None:
    upstream = client(starttls=True)
    [failed] = upstream.receive(HELLO.replace(b'"STARTTLS"\r\n', b""))
    assert failed == Failed("protocol", "the mail server offers no STARTTLS")
    upstream = client(starttls=True)
    assert said(upstream.receive(HELLO)) == b"STARTTLS\r\n"
    assert upstream.receive(b"OK\r\n" + HELLO) == [StartTls()]
    assert upstream.receive(HELLO) == []
    assert upstream.tls_started() == []
    [failed] = upstream.receive(b'"SASL" "LOGIN"\r\nOK\r\n')  # what was told before TLS is forgotten
    assert failed == Failed("protocol", "the mail server does not offer PLAIN")


def test_a_credential_cannot_smuggle_a_command() -> None:
    upstream = client(UpstreamCredential("PLAIN", "anna\r\nLOGOUT", "pw"))
    [failed] = upstream.receive(HELLO)
    assert isinstance(failed, Failed)
    assert failed.kind == "protocol"


def test_endless_servers() -> None:
    for flood in (
        b'"X"\r\n' * (MAX_UPSTREAM_ANSWERS + 1),
        b"x" * (MAX_UPSTREAM_LINE + 1),
        b'"X" {70000}\r\n',
    ):
        [failed] = client().receive(flood)
        assert isinstance(failed, Failed)
        assert failed.kind == "protocol"


LINES = st.sampled_from(
    [HELLO, b"OK\r\n", b'NO "x"\r\n', b'BYE "x"\r\n', b'"YQ=="\r\n', b'"SASL" "PLAIN"\r\n', b"{2}\r\nab\r\n"]
)
CREDENTIALS = st.builds(
    UpstreamCredential,
    st.sampled_from(["PLAIN", "LOGIN", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "NONSENSE"]),
    st.sampled_from(["anna", ""]),
    st.sampled_from(["pw", "p\nw"]),
)


@given(
    st.lists(st.one_of(LINES, st.binary(max_size=20)), max_size=12).map(b"".join),
    st.lists(st.integers(0, 300), max_size=8),
    CREDENTIALS,
    st.booleans(),
)
def test_any_octets_in_any_chunks(
    stream: bytes, cuts: list[int], credential: UpstreamCredential, tls: bool
) -> None:
    def run(chunks: list[bytes]) -> tuple[bytes, list[Command]]:
        upstream = client(credential, Origin("192.0.2.1"), starttls=tls, trusted=True)
        commands = [c for chunk in chunks for c in upstream.receive(chunk)]
        ends = [c for c in commands if not isinstance(c, Send)]
        assert len(ends) <= 1
        if ends and isinstance(ends[0], Ready):
            ends = [Ready(ends[0].capabilities, ends[0].text)]  # what comes behind depends on the cut
        return said(commands), ends

    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert run([stream]) == run([stream[a:b] for a, b in itertools.pairwise(edges)])
