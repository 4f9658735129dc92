"""The peers as fixtures, one of each for a test session (with xdist: for each worker)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import missing_programs
from .dovecot import Dovecot
from .people import ACCOUNTS, MASTER
from .pki import Pki
from .postfix import Postfix
from .postgresql import PostgreSql
from .process import free_port
from .slapd import Slapd


def _need(peer: str) -> None:
    if why := missing_programs(peer):
        pytest.skip(why)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """Signs in without TLS too; ``ports["auth"]`` is its SASL service for Postfix."""
    _need("dovecot")
    port = free_port()
    listener = f"service auth {{\n inet_listener sasl {{\n address = 127.0.0.1\n port = {port}\n }}\n}}\n"
    with Dovecot(users=ACCOUNTS, masters=dict([MASTER]), plaintext=True, extra=listener) as peer:
        peer.ports["auth"] = port
        yield peer


@pytest.fixture(scope="session")
def postfix(tmp_path_factory: pytest.TempPathFactory, pki: Pki, dovecot: Dovecot) -> Iterator[Postfix]:
    _need("postfix")
    certificate = pki.issue("postfix.example.org", "localhost", "127.0.0.1")
    peer = Postfix(
        tmp_path_factory.mktemp("postfix"), certificate, dovecot.ports["auth"], dovecot.ports["lmtp"]
    )
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Slapd]:
    _need("slapd")
    peer = Slapd(
        tmp_path_factory.mktemp("slapd"), pki.issue("ldap.example.org", "localhost", "127.0.0.1"), pki.ca
    )
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSql]:
    _need("postgresql")
    peer = PostgreSql(tmp_path_factory.mktemp("postgresql"))
    yield peer
    peer.stop()
