"""The front end: which directory, who signed in, which part answers. Pure but for the mailboxes.

Basic is checked against the sample people's passwords in constant time; Negotiate and NTLM are offered as on a real
server and always fail here, because there is no domain behind it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import replace

from gambeson.playground.mailboxes import Mailboxes

from . import autodiscover, eas, ews, mapi, pages
from .directories import Directory, directory_of
from .exchange import Request, Response, page


class FrontEnd:
    """``passwords`` maps addresses to passwords. ``names`` in Basic are addresses, or ``PLAYGROUND\\\\local-part``."""

    def __init__(self, boxes: Mailboxes, passwords: Mapping[str, str]) -> None:
        self._boxes = boxes
        self._passwords = {address: password.encode() for address, password in passwords.items()}
        self._eas = eas.ActiveSync(boxes)

    def answer(self, request: Request) -> tuple[Request, Response]:
        """The request with who signed in, and the answer."""
        request = self._signed_in(request)
        directory = directory_of(request.stem)
        if directory is None:
            if request.stem == "/":
                return request, Response(302, headers=(("Location", "/owa/"),))
            return request, page("404 - File or directory not found.", "", 404)
        if request.stem in (f"{directory.path}/healthcheck.htm",):
            return request, pages.health()
        if not request.person and not _open(request, directory):
            return request, _challenge(request, directory)
        answer = self._part(request, directory)
        if answer.status == 401:
            answer = _challenge(request, directory)
        return request, answer

    def _part(self, request: Request, directory: Directory) -> Response:
        match directory.path:
            case "/owa":
                return pages.owa(request, self._boxes)
            case "/ecp":
                return pages.ecp(request) if request.person else Response(401)
            case "/ews":
                return ews.answer(request, self._boxes) if request.person else Response(401)
            case "/mapi":
                return mapi.answer(request)
            case "/microsoft-server-activesync":
                return self._eas.answer(request)
            case "/oab":
                return pages.oab(request)
            case "/autodiscover":
                return autodiscover.answer(request)
        return page("Reached", f"<p>{directory.path}: a door should never have let this through.</p>")

    def _signed_in(self, request: Request) -> Request:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return request
        try:
            name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return request
        name = name.rpartition("\\")[2].lower()
        if "@" not in name:
            name = next((a for a in self._passwords if a.partition("@")[0] == name), name)
        right = hmac.compare_digest(self._passwords.get(name, b"\0"), password.encode())
        return replace(request, person=name, way="Basic") if right and name in self._passwords else request


def _open(request: Request, directory: Directory) -> bool:
    """Whether the page needs no sign-in: the form, and what is anonymous by default."""
    if directory.path == "/owa":
        return request.stem.startswith(("/owa/auth/", "/owa/auth.owa", "/owa/prem/"))
    return directory.anonymous


def _challenge(request: Request, directory: Directory) -> Response:
    if directory.forms and "text/html" in request.headers.get("accept", ""):
        there = f"/owa/auth/logon.aspx?url=https%3a%2f%2fmail.localhost{request.path}&reason=0"
        return Response(302, headers=(("Location", there),))
    return Response(401, headers=tuple(("WWW-Authenticate", value) for value in directory.challenges))
