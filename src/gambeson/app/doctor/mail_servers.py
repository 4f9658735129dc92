"""The mail servers behind the doors: reachable, over TLS that holds, offering what the way to sign in needs."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, MailServer, SignIn, UpstreamTls
from gambeson.settings.servers import loopback

from .behind import reached, where
from .probe import Answer
from .result import Check, Patient, failed, ok, warning

TURN = 65
TOKENS = {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"}


def look(patient: Patient) -> Iterator[Check]:
    """Each endpoint, without signing in."""
    servers = patient.servers
    if not servers:
        yield failed(
            "mail server", "The settings name no mail server.", "Add a [[server]], or run: gambeson connect"
        )
    for server in servers:
        for endpoint in server.endpoints:
            yield from _endpoint(patient, server, endpoint)


def _endpoint(patient: Patient, server: MailServer, endpoint: Endpoint) -> Iterator[Check]:
    name = f"mail server {server.name} {endpoint.door}"
    answer = yield from reached(patient, name, endpoint, "[[server]]", "server")
    if answer is None:
        return
    lacking = missing(server.sign_in, endpoint, answer)
    if lacking:
        yield failed(name, f"{where(endpoint)} {lacking[0]}.", lacking[1])
        return
    tls = answer.tls_version or "without TLS"
    yield ok(name, f"{where(endpoint)} answers ({tls}) and offers what sign_in = {server.sign_in} needs.")
    if takes_plaintext(answer) and endpoint.tls is UpstreamTls.STARTTLS and not loopback(endpoint):
        yield warning(
            name,
            f"{where(endpoint)} takes passwords before TLS.",
            "Turn that off there, and see what is open past the doors: gambeson guard walk",
        )


def missing(way: SignIn, endpoint: Endpoint, answer: Answer) -> tuple[str, str] | None:
    """What this way to sign in needs and the server does not offer: (what, remedy)."""
    offers = answer.offers
    if (
        endpoint.trusts_us
        and endpoint.door is DoorKind.SUBMISSION
        and "XCLIENT" not in offers
        and not endpoint.proxy_v2
    ):
        return "does not offer XCLIENT to us", (
            "Postfix: list this machine in smtpd_authorized_xclient_hosts; or take trusts_us away."
        )
    if way is SignIn.TOKEN and not offers & TOKENS:
        return "offers neither OAUTHBEARER nor XOAUTH2, which tokens need", (
            "See gambeson guard export dovecot, or use sign_in = master or sealed."
        )
    if way is SignIn.TOKEN:
        return None
    plain = {"AUTH=PLAIN", "AUTH=LOGIN"} & offers
    login = endpoint.door is DoorKind.IMAP and "LOGINDISABLED" not in offers
    user = endpoint.door is DoorKind.POP3 and "USER" in offers
    if way is SignIn.MASTER and "AUTH=PLAIN" not in offers:
        return "does not offer AUTH PLAIN, which a master user needs", "Turn on the mechanism plain there."
    if not plain and not login and not user:
        return "offers no way to sign in with a password", "Turn on the mechanism plain there, under TLS."
    return None


def takes_plaintext(answer: Answer) -> bool:
    """Whether it would take a password before TLS."""
    before = answer.before
    return bool({"AUTH=PLAIN", "AUTH=LOGIN", "USER"} & before) or (
        "IMAP4REV1" in before and "LOGINDISABLED" not in before
    )
