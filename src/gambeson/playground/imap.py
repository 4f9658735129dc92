"""The playground's IMAP server: pymap's Maildir back-end behind our token check (RFC 3501)."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pymap.backend.maildir import Config, Session
from pymap.concurrent import Subsystem
from pymap.exceptions import InvalidAuth, NotAllowedError
from pymap.imap import IMAPServer
from pymap.interfaces.login import IdentityInterface, LoginInterface
from pymap.interfaces.token import TokensInterface
from pymap.token import AllTokens
from pymap.user import UserMetadata
from pysasl import SASLAuth
from pysasl.creds.client import ClientCredentials
from pysasl.creds.external import ExternalCredentials
from pysasl.creds.server import ServerCredentials
from pysasl.exception import InvalidResponse
from pysasl.mechanism import ChallengeResponse, ServerChallenge, ServerMechanism

from gambeson.model.access import RawLogin
from gambeson.wire.sasl import Exchange, SaslError

from .access import TokenDoor, peer
from .mailboxes import Mailboxes
from .maildir import RawMailboxSet
from .sieve import ScriptSet

MAX_APPEND = 64 * 1024 * 1024


class TokenCredentials(ExternalCredentials):
    """What a client of the playground signs in with: the whole login, its token still unchecked."""

    __slots__ = ("login",)

    def __init__(self, login: RawLogin) -> None:
        super().__init__(login.authzid or login.username, login.password)
        self.login = login


class _Bearer(ServerMechanism):
    """A pysasl mechanism over our own SASL exchange, so that there is one parser of bearer responses."""

    def server_attempt(
        self, responses: Sequence[ChallengeResponse]
    ) -> tuple[ExternalCredentials, bytes | None]:
        exchange = Exchange(self.name.decode("ascii"))
        try:
            if not responses:
                challenge = exchange.step(None)
                assert isinstance(challenge, bytes)
                raise ServerChallenge(challenge)
            login = exchange.step(responses[0].response)
            if isinstance(login, bytes):  # the error challenge; the door sent its token already
                login = exchange.step(b"\x01")
        except SaslError as error:
            raise InvalidResponse() from error
        if isinstance(login, bytes):
            raise InvalidResponse()
        return TokenCredentials(login), None

    def client_attempt(
        self, creds: ClientCredentials, challenges: Sequence[ServerChallenge]
    ) -> ChallengeResponse:
        """The playground is never a client."""
        raise InvalidResponse()


class ServerConfig(Config):
    """pymap's configuration with everything fixed: no TLS of its own (Unix socket), token mechanisms only."""

    @property
    def tls_auth(self) -> SASLAuth:
        """Bearer mechanisms only."""
        return SASLAuth([_Bearer(b"OAUTHBEARER"), _Bearer(b"XOAUTH2"), _Bearer(b"PLAIN")])

    @property
    def greeting(self) -> bytes:
        """Says what this server is."""
        return b"Gambeson playground mail server, for trying out only"

    @property
    def id_response(self) -> Mapping[bytes, bytes]:
        """RFC 2971."""
        return {b"name": b"Gambeson playground"}


def make_config(root: str) -> ServerConfig:
    """The configuration for Maildirs under ``root``."""
    return ServerConfig(
        Namespace(passlib_cfg=None, proxy_protocol="detect"),
        base_dir=root,
        layout="++",
        colon=None,
        host=None,
        port=0,
        tls_enabled=False,
        reject_dnsbl=False,
        invalid_user_sleep=0.0,
        max_append_len=MAX_APPEND,
        subsystem=Subsystem.for_executor(ThreadPoolExecutor(4, thread_name_prefix="maildir")),
        cpu_subsystem=Subsystem.for_asyncio(),
    )


class Identity(IdentityInterface):
    """A proven account of the playground."""

    def __init__(self, config: ServerConfig, boxes: Mailboxes, address: str) -> None:
        self._config, self._boxes, self._address = config, boxes, address

    @property
    def name(self) -> str:
        """The account's address."""
        return self._address

    @property
    def roles(self) -> frozenset[str]:
        """Nobody has a role here."""
        return frozenset()

    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[Session]:
        """One session over the account's Maildir."""
        path = str(self._boxes.path(self._address))
        boxes = RawMailboxSet(path)
        yield _Session(self._address, self._config, boxes, ScriptSet(self._boxes.path(self._address)))

    async def new_token(self, *, expiration: datetime | None = None) -> str | None:
        """Only the keeper makes tokens."""
        return None

    async def get(self) -> UserMetadata:
        """What pymap asks to know of a user."""
        return UserMetadata(self._config, self._address)

    async def set(self, metadata: UserMetadata) -> int | None:
        """Accounts are managed by Gambeson, not by the mail server."""
        raise NotAllowedError("accounts are managed by Gambeson")

    async def delete(self) -> None:
        """See :meth:`set`."""
        raise NotAllowedError("accounts are managed by Gambeson")


class _Session(Session):
    """pymap's session with several Sieve scripts instead of its single one."""

    def __init__(self, owner: str, config: Config, boxes: RawMailboxSet, scripts: ScriptSet) -> None:
        super().__init__(owner, config, boxes, scripts)  # type: ignore[arg-type]  # same interface


class Login(LoginInterface):
    """pymap's log-in interface over :class:`TokenDoor`."""

    def __init__(self, config: ServerConfig, boxes: Mailboxes, door: TokenDoor) -> None:
        self._config, self._boxes, self._door = config, boxes, door
        self._tokens = AllTokens(config)

    @property
    def tokens(self) -> TokensInterface:
        """pymap's own tokens: none is ever issued."""
        return self._tokens

    async def authenticate(self, credentials: ServerCredentials) -> Identity:
        """Raises InvalidAuth for everything but a fresh token of the keeper."""
        address = None
        if isinstance(credentials, TokenCredentials):
            address = self._door.account(credentials.login)
        if address is None:
            raise InvalidAuth()
        return Identity(self._config, self._boxes, address)

    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> Identity:
        """Nobody acts for another."""
        if authzid not in ("", authenticated.name) or not isinstance(authenticated, Identity):
            raise InvalidAuth()
        return authenticated


def handler(config: ServerConfig, login: Login) -> Any:
    """The callback for :func:`asyncio.start_unix_server`."""
    server = IMAPServer(login, config)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config.apply_context()
        await server(reader, writer, peer(writer))

    return connected
