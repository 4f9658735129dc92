"""What the door itself says to a browser or a program: short, never cached, never framed, without scripts."""

from __future__ import annotations

import html
import json
from base64 import b64encode
from hashlib import sha256

from gambeson.guard.core.web.origin import navigation
from gambeson.guard.core.web.verdict import Answer, Headers
from gambeson.model.web import WebRequest

_STYLE = (
    ":root{color-scheme:light dark;font:1.0625rem/1.55 system-ui,sans-serif}"
    "body{margin:0 auto;max-width:44rem;padding:1rem}a{color:inherit}button{font:inherit;padding:.6rem 1.25rem}"
)
_STYLE_HASH = f"sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}"  # CSP level 3, section 2.3.1
_ALWAYS = (
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        f"default-src 'none'; style-src '{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    # With no-referrer browsers would send "Origin: null" with our own form (Fetch standard, Origin header).
    ("referrer-policy", "same-origin"),
)
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>
{body}</main></body>
</html>
"""
CHALLENGE = ("www-authenticate", 'Basic realm="Mail", charset="UTF-8"')  # RFC 7617 section 2.1
# RFC 9110 section 15.5.2 wants a challenge in each 401; this one no browser knows, so none asks for a password.
PORTAL_CHALLENGE = ("www-authenticate", 'Gambeson-Portal realm="Mail"')


def say(
    request: WebRequest,
    status: int,
    reason: str,
    sentence: str,
    headers: Headers = (),
    *,
    title: str = "",
    form: str = "",
    close: bool = False,
    wait: float = 0.0,
) -> Answer:
    """One sentence: a page for a person, JSON for whoever takes it, else text. ``form`` is HTML of ours."""
    if navigation(request) or form:
        kind = "text/html; charset=utf-8"
        shown = f"<p>{html.escape(sentence)}</p>\n{form}"
        body = _PAGE.format(title=html.escape(title or "Mail"), style=_STYLE, body=shown)
    elif "json" in request.header("accept").lower():
        kind, body = "application/json", json.dumps({"reason": reason, "sentence": sentence})
    else:
        kind, body = "text/plain; charset=utf-8", sentence + "\n"
    return Answer(status, (*headers, ("content-type", kind), *_ALWAYS), body.encode(), close, reason, wait)


def lead(status: int, where: str, reason: str, headers: Headers = ()) -> Answer:
    """A redirect. ``where`` is made by us."""
    return Answer(status, (("location", where), *headers, *_ALWAYS), b"", reason=reason)


_REFUSED = (
    b"This sign-in was refused. Register this device at your organisation's portal and sign in with the device "
    b"secret that you get there.\n"
)


def refused(reason: str, wait: float) -> Answer:
    """Every refusal of a program, in the same octets whoever it is. ``reason`` is for the record alone."""
    headers = (CHALLENGE, ("content-type", "text/plain; charset=utf-8"), *_ALWAYS)
    return Answer(401, headers, _REFUSED, reason=reason, wait=wait)


def not_now(request: WebRequest, reason: str, wait: float = 0.0) -> Answer:
    """A fault on our side."""
    sentence = "The mail server can't be reached now; please try again in a few minutes."
    return say(request, 503, reason, sentence, (("retry-after", "60"),), wait=wait)


def not_there(request: WebRequest, reason: str) -> Answer:
    """Nothing of the kind, for nobody."""
    return say(request, 404, reason, "There is no such page.", close=request.body)
