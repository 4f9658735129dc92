"""Exchange Web Services at the door: an operation at a time, and only those that the program makes.

EWS opens the whole mailbox to whoever may ask everything, so nothing is open by itself: a *registered* device may ask
for the operations in its program's list (``guard/data/clients``), and for those that the site adds. Who calls itself
nothing known has the site's alone. The operation is the first element of the SOAP body; headers by which one acts as
somebody else never pass.
"""

from __future__ import annotations

from gambeson.model.web import Site, WebRequest
from gambeson.wire.soap import MESSAGES, Message, SoapError, fault, read_message

from .clients import Client
from .verdict import Answer, Forward, Peek, Verdict

MAX_PEEKED = 65536  # octets within which the operation must come
# Headers that say nothing of who acts (MS-OXWSCDATA section 2.2.3, WS-Addressing). ExchangeImpersonation,
# SerializedSecurityContext, ManagementRole, OpenAsAdminOrSystemService and what is not known are refused.
HEADERS = frozenset(
    (
        "RequestServerVersion",
        "MailboxCulture",
        "TimeZoneContext",
        "DateTimePrecision",
        "Action",
        "To",
        "MessageID",
        "ReplyTo",
    )
)
IMPERSONATION = frozenset(
    (
        "ExchangeImpersonation",
        "SerializedSecurityContext",
        "ManagementRole",
        "OpenAsAdminOrSystemService",
        "ProxySecurityContext",
        "ProxyRequestTypeHeader",
    )
)

# A push subscription makes the server sign in at an address of the client's choice (CVE-2018-8581).
_SUBSCRIPTIONS = (("PullSubscriptionRequest",), ("StreamingSubscriptionRequest",))


def allowed(site: Site, client: Client | None) -> frozenset[str]:
    """The operations for a program at a site."""
    added = frozenset(site.operations)
    return added | client.operations if client is not None else added


def judge(request: WebRequest, site: Site, client: Client | None, forward: Forward) -> Verdict:
    """What becomes of a request that would be forwarded."""
    codings = [value.strip().lower() for name, value in request.headers if name == "content-encoding"]
    if any(coding not in ("", "identity") for coding in codings):
        return refused("content-encoding", "A compressed request is not taken; send it as it is.", status=415)
    operations = allowed(site, client)

    def looked(octets: bytes, whole: bool) -> Verdict:
        try:
            message = read(request, octets, whole)
        except SoapError as error:
            return refused(error.reason, "This request can't be read as one EWS operation.", status=400)
        refusal = refuse(message, operations)
        return forward if refusal is None else refusal

    return Peek(MAX_PEEKED, looked)


def read(request: WebRequest, octets: bytes, whole: bool) -> Message:
    """The message that a request brings. Raises SoapError."""
    for name in ("soapaction", "content-type"):
        if sum(key == name for key, _ in request.headers) > 1:
            raise SoapError("header-twice")
    action = next((value.strip() for name, value in request.headers if name == "soapaction"), None)
    return read_message(octets, whole, request.header("content-type"), action)


def refuse(message: Message, operations: frozenset[str]) -> Answer | None:
    """The refusal of a message; None where it passes."""
    strange = [name for name in message.headers if name not in HEADERS]
    if strange:
        word = "impersonation" if strange[0] in IMPERSONATION else "header"
        sentence = f"The SOAP header {strange[0]} is not allowed here."
        return refused(f"ews-{word} {strange[0]}", sentence, message.version)
    if message.operation == "Subscribe" and message.inside not in _SUBSCRIPTIONS:
        sentence = "A subscription may be pulled or streamed; the server is never made to call an address."
        return refused("ews-push-subscription", sentence, message.version)
    if message.namespace != MESSAGES or message.operation not in operations:
        sentence = (
            f"{message.operation} is not open to this program; an administrator can allow it for the site."
        )
        return refused(f"ews-operation {message.operation}", sentence, message.version)
    return None


def refused(reason: str, sentence: str, version: str = "1.1", *, status: int = 403) -> Answer:
    """A refusal as a SOAP fault."""
    kind, body = fault(sentence, reason.partition(" ")[0], version)
    return Answer(
        status, (("content-type", kind), ("cache-control", "no-store")), body, close=True, reason=reason
    )
