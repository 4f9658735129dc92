"""OWA, the user's options, the offline address book: what a browser or Outlook reads with GET."""

from __future__ import annotations

import email
import email.policy
import json
from email.message import EmailMessage
from html import escape

from gambeson.playground.mailboxes import Mailboxes

from .directories import SERVER, VERSION
from .exchange import Request, Response, page

OAB_ID = "6c0b5b0f-2b0a-4c4a-9a52-5f6d3f0a9f11"
THEME = f"/owa/auth/{VERSION.rpartition('.')[0]}/themes/resources"


def inbox(boxes: Mailboxes, person: str, most: int = 50) -> list[EmailMessage]:
    """The newest messages of a person's inbox."""
    folder = boxes.inbox(person)
    keys = sorted(folder.keys())[-most:]
    return [email.message_from_bytes(folder.get_bytes(k), policy=email.policy.default) for k in keys]


def sign_in_form(request: Request) -> Response:
    """The form that forms-based authentication shows; it takes no password in the emulator."""
    inner = (
        f'<link rel="shortcut icon" href="{THEME}/favicon.ico" type="image/x-icon">'
        '<form action="/owa/auth.owa" method="POST"><label>User name <input name="username"></label> '
        '<label>Password <input name="password" type="password"></label> <button>Sign in</button></form>'
    )
    return page("Outlook", inner)


def owa(request: Request, boxes: Mailboxes) -> Response:
    """The mailbox as a page, its requests as JSON, and the static files around them."""
    stem = request.stem
    if stem.startswith("/owa/auth/logon.aspx"):
        return sign_in_form(request)
    if stem == "/owa/auth.owa":
        return Response(302, headers=(("Location", "/owa/auth/logon.aspx?reason=2"),))
    if stem in ("/owa/logoff.owa", "/owa/auth/signout.aspx"):
        return page("Signed out", "")
    if stem.startswith(("/owa/auth/", "/owa/prem/")):
        return Response(200, b"/* emulator */", "text/css")
    if stem == "/owa/service.svc":
        return _service(request, boxes)
    if stem in ("/owa/ev.owa", "/owa/ev.owa2", "/owa/ping.owa", "/owa/keepalive.owa"):
        return Response(200, b"", "text/plain")
    rows = "".join(
        f"<li><b>{escape(str(m['Subject'] or ''))}</b> {escape(str(m['From'] or ''))}</li>"
        for m in inbox(boxes, request.person)
    )
    answer = page("Inbox", f"<p>{escape(request.person)}</p><ul>{rows}</ul>")
    cookies = (("Set-Cookie", "UC=emulator; path=/; secure; HttpOnly"), ("X-OWA-Version", VERSION))
    return Response(200, answer.body, headers=cookies)


def _service(request: Request, boxes: Mailboxes) -> Response:
    action = request.parameter("action")
    items: list[dict[str, str]] = []
    if action in ("FindItem", "FindConversation"):
        items = [
            {"Subject": str(m["Subject"] or ""), "From": str(m["From"] or "")}
            for m in inbox(boxes, request.person)
        ]
    document = {
        "Header": {"ServerVersionInfo": {"MajorVersion": 15}},
        "Body": {"Action": action, "Items": items},
    }
    return Response(200, json.dumps(document).encode(), "application/json; charset=utf-8")


def ecp(request: Request) -> Response:
    """The options of a user, and the administrators' console under the same path, as on a real server."""
    if request.stem.rstrip("/") == "/ecp" or request.stem.startswith("/ecp/default.aspx"):
        who = "user options" if request.parameter("rfr") == "owa" else "Exchange admin center"
        return page(who, f"<p>{escape(request.person)}</p>")
    return page("ECP", f"<p>{escape(request.path)}</p>")


def oab(request: Request) -> Response:
    """The offline address book's manifest."""
    if request.stem != f"/oab/{OAB_ID}/oab.xml":
        return Response(404)
    full = '<Full seq="1" ver="32"/>'
    text = f'<?xml version="1.0" encoding="utf-8"?><OAB><OAL id="{OAB_ID}" name="Default">{full}</OAL></OAB>'
    return Response(200, text.encode(), "text/xml")


def health() -> Response:
    """What load balancers ask for."""
    return Response(200, f"200 OK\r\n{SERVER}.playground.example".encode(), "text/html")
