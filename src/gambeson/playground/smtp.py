"""The playground's SMTP server: aiosmtpd, taking mail from signed-in doors for the sample people only.

There is no way out: mail for anybody else is refused with a sentence that says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from gambeson.model.access import RawLogin
from gambeson.wire.sasl import Exchange, SaslError, decode

from .access import TokenDoor
from .mailboxes import Mailboxes
from .sample import DOMAIN

MAX_MESSAGE = 64 * 1024 * 1024
MAX_RECIPIENTS = 100


class Delivery:
    """aiosmtpd's handler: token sign-in, recipients of the sample domain, delivery into Maildirs."""

    def __init__(self, boxes: Mailboxes, door: TokenDoor) -> None:
        self._boxes, self._door = boxes, door

    async def auth_OAUTHBEARER(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's hook
        """RFC 7628."""
        return await self._auth("OAUTHBEARER", server, args)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's hook
        """The older bearer mechanism."""
        return await self._auth("XOAUTH2", server, args)

    async def auth_PLAIN(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's hook
        """PLAIN with the token as password."""
        return await self._auth("PLAIN", server, args)

    async def _auth(self, mechanism: str, server: SMTP, args: list[str]) -> AuthResult:
        try:
            exchange = Exchange(mechanism)
            if len(args) > 1:
                response = decode(args[1].encode("ascii"))
            else:
                challenge = await server.challenge_auth("")
                if not isinstance(challenge, bytes):
                    return AuthResult(success=False, handled=True)
                response = challenge
            login = exchange.step(response)
            if not isinstance(login, RawLogin):
                login = exchange.step(b"\x01")
        except (SaslError, UnicodeEncodeError):
            return AuthResult(success=False, handled=False, message="501 5.5.2 that is no valid response")
        address = self._door.account(login) if isinstance(login, RawLogin) else None
        if address is None:
            return AuthResult(success=False, handled=False, message="535 5.7.8 only the doors sign in here")
        return AuthResult(success=True, auth_data=address)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's hook
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only the sample people, and not too many at once."""
        if self._boxes.owner(address) is None:
            return f"550 5.1.1 the playground delivers to the people of {DOMAIN} only; nothing leaves it"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - hook
        """Deliver to each mailbox once."""
        content = envelope.original_content or b""
        owners = {owner for r in envelope.rcpt_tos if (owner := self._boxes.owner(r)) is not None}
        head = f"Return-Path: <{envelope.mail_from or ''}>\r\n".encode()
        try:
            for owner in sorted(owners):
                self._boxes.deliver(owner, head + content)
        except OSError as error:
            return f"451 4.3.0 not delivered: {error.strerror}"
        return "250 2.0.0 delivered"


# aiosmtpd warns at every connection that AUTH without TLS is weak; this server listens on Unix sockets only.
warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS", module="aiosmtpd")


def factory(boxes: Mailboxes, door: TokenDoor) -> Callable[[], Any]:
    """The protocol factory for :meth:`loop.create_unix_server`."""
    delivery = Delivery(boxes, door)

    def make() -> SMTP:
        return SMTP(
            delivery,
            data_size_limit=MAX_MESSAGE,
            enable_SMTPUTF8=True,
            hostname=DOMAIN,
            ident="Gambeson playground, for trying out only",
            timeout=300,
            auth_required=True,
            auth_require_tls=False,
            auth_exclude_mechanism=("LOGIN",),
        )

    return make
