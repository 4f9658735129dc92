"""What fuzzing asks of the web doors' readers: any octets give a value or the one declared error, and the value keeps
what its reader promises. Where a thing can be read in a second way (again after it was written, by another reader, in
part), both readings must agree.

The first octet of ``data`` chooses the set-up where there is one to choose.
"""

from __future__ import annotations

import contextlib
import re
from asyncio import Transport
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qsl, urljoin, urlsplit

from fuzz.pieces import pieces
from gambeson.console.portal.settings import ApplicationHost, PortalSettings
from gambeson.console.portal.target import read_target
from gambeson.console.web.visit import MAX_FIELDS, ProblemError, read_fields
from gambeson.console.web.visit import read_cookies as portal_cookies
from gambeson.guard.edge.web.connection import Phase, WebConnection
from gambeson.model import session_token
from gambeson.wire import autodiscover, strict_xml, wbxml
from gambeson.wire.activesync import CODES, VERSIONS, EasError, read_query
from gambeson.wire.auth_policy import PolicyError, parse_ask, parse_command
from gambeson.wire.auth_request import read_sub_request
from gambeson.wire.cookies import Cookies, for_upstream, read_cookies, set_by_upstream
from gambeson.wire.http_forward import AnswerReader, request_head, response_head
from gambeson.wire.http_head import HeadError, RequestReader
from gambeson.wire.soap import SoapError, read_message
from gambeson.wire.strict_xml import Element, XmlError
from gambeson.wire.tls_hello import server_name
from guard.edge.web.wires import HTTPS, Loop, Wire, door, feed

HOSTS = frozenset(("mail.example.org", "app.example.org"))
OURS = "__host-gambeson-"
INSIDE = ("ex01.corp.example", "ex02.corp.example")
STATUSES = frozenset((400, 408, 413, 414, 417, 421, 431, 501, 505))


def _declared(truth: object, error: Exception) -> None:
    """The error is one that its reader declares."""
    assert truth, repr(error)


def _ours(name: str) -> bool:
    """As a browser compares: blanks at the ends go, case does not count."""
    return name.strip(" \t").lower().startswith(OURS)


def head(data: bytes) -> None:
    """One head; what is taken is written for the mail server and read once more."""
    sni = "mail.example.org" if data[:1] == b"\1" else ""
    reader = RequestReader()
    try:
        got = reader.read(data[1:], sni=sni, source="192.0.2.7", hosts=HOSTS)
    except HeadError as error:
        _declared(error.status in STATUSES, error)
        _declared(error.reason, error)
        return
    request = got.request
    assert request.host in HOSTS
    assert request.canonical.startswith("/")
    assert not {"\r", "\n", "\0"} & set("".join(name + value for name, value in request.headers))
    sent = request_head(request, named=got.named, length=got.length, chunked=got.chunked)
    assert sent.count(b"\r\n") == sent.count(b"\n") == sent.count(b"\r")
    lines = sent.lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"x-forwarded-for")] == [b"x-forwarded-for: 192.0.2.7"]
    assert not any(line.startswith((b"x-gambeson", b"forwarded:", b"connection:")) for line in lines)
    try:
        again = RequestReader().read(sent, sni="", source="", hosts=HOSTS)
    except HeadError as error:
        _declared(error.status == 431, error)  # three headers more than came
        return
    assert (again.request.method, again.request.path, again.request.query) == (
        request.method,
        request.path,
        request.query,
    )
    assert (again.length, again.chunked) == (got.length, got.chunked)
    _no_ours(again.request.cookies)


def _no_ours(cookies: Cookies) -> None:
    for name, value in cookies:
        assert not _ours(name), name
        assert name or not _ours(value), value


def forward(data: bytes) -> None:
    """A mail server's answer; what is taken is written for the client."""
    try:
        answer = AnswerReader().read(data[1:])
    except HeadError as error:
        _declared(error.status == 502, error)
        return
    assert not (answer.chunked and answer.length >= 0)
    length = 5 if answer.status >= 200 else -1
    sent = response_head(answer, cookies=("a=b",), length=length, close=data[:1] == b"\1")
    assert sent.count(b"\r\n") == sent.count(b"\n") == sent.count(b"\r")
    lines = sent.decode("latin-1").split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {answer.status} ")
    assert lines[-2:] == ["", ""]
    for line in lines[1:-2]:
        name, mark, value = line.partition(":")
        assert mark
        if name == "set-cookie":
            pair, *attributes = value.split(";")
            named, equals, content = pair.partition("=")
            assert not _ours(named if equals and named.strip(" \t") else content or named), line
            assert not any(a.partition("=")[0].strip(" \t").lower() == "domain" for a in attributes), line
    assert sum(line.startswith("content-length:") for line in lines) == (length >= 0)
    if length >= 0:
        again = AnswerReader().read(sent)
        assert (again.status, again.length, again.chunked) == (answer.status, length, False)


def cookies(data: bytes) -> None:
    """Cookie headers and Set-Cookie values, one a line."""
    lines = [line.decode("latin-1") for line in data.split(b"\n")]
    found = read_cookies(lines)
    if found is not None:
        kept = read_cookies((for_upstream(found),))
        assert kept is not None
        assert len(kept) <= len(found)
        _no_ours(kept)
    for line in lines:
        out = set_by_upstream(line)
        named, equals, content = out.partition(";")[0].partition("=")
        assert not _ours(named if equals and named.strip(" \t") else content or named), line
        assert not re.search(r";[ \t]*domain[ \t]*(=|;|$)", out, re.IGNORECASE), line


def eas_query(data: bytes) -> None:
    """An ActiveSync query in the first line, headers in the others."""
    query, *lines = data.decode("latin-1").split("\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(":") for line in lines)]
    try:
        got = read_query(query, headers)
    except EasError as error:
        _declared(re.fullmatch(r"[a-z0-9-]+", error.reason), error)
        return
    assert got.command
    assert not got.coded or got.command in CODES.values()
    assert got.version in (*VERSIONS, "")
    assert re.fullmatch(r"[A-Za-z0-9._{}-]{1,64}", got.device_id)
    assert len(dict(got.parameters)) == len(got.parameters)
    shown = got.user + got.device_type + "".join(name + value for name, value in got.parameters)
    assert not re.search(r"[\x00-\x1f\x7f]", shown)
    if not got.coded:
        again = parse_qsl(query, keep_blank_values=True)
        assert [value for name, value in again if name.lower() == "deviceid"] == [got.device_id]
        assert [value for name, value in again if name.lower() == "user"] == [got.user]


def wbxml_document(data: bytes) -> None:
    """A document; what is taken is written and read once more."""
    try:
        root = wbxml.read(data)
    except wbxml.WbxmlError as error:
        _declared("\n" not in str(error), error)
        return
    assert wbxml.read(wbxml.write(root)) == root


def autodiscover_xml(data: bytes) -> None:
    """A question of a program, or an answer of the mail server's to be rewritten."""
    choice, octets = data[:1], data[1:]
    charset = {b"\1": "utf-8", b"\2": "utf-16"}.get(choice, "")
    with contextlib.suppress(XmlError):
        asked = autodiscover.read_pox(octets, charset)
        assert asked.schema in ("outlook", "mobilesync")
        assert not set(asked.address) & set("<>\"' \r\n")
        strict_xml.read(autodiscover.mobilesync(asked.address, "mail.example.org"), limit=4096)
    try:
        out = autodiscover.rewritten(octets, "mail.example.org:8443", INSIDE, charset)
    except XmlError as error:
        _declared(re.fullmatch(r"[a-z0-9-]+", error.reason), error)
        return
    _outside(strict_xml.read(out, limit=8 * autodiscover.MAX_ANSWER))


def _outside(element: Element) -> None:
    """No URL in a rewritten document leads anywhere but to the public name."""
    values = [element.text, *element.attributes.values()]
    for host in re.findall(r"https?://([a-z0-9.-]+)", "\n".join(values), re.IGNORECASE):
        assert host.lower().rstrip(".") in {
            "mail.example.org",
            "schemas.microsoft.com",
            "schemas.xmlsoap.org",
            "www.w3.org",
        }, host
    for child in element.children:
        _outside(child)


def soap(data: bytes) -> None:
    """The Content-Type in the first line, the SOAPAction in the second, then the message: read whole, in part, and by
    the other reader, which must agree on what is asked."""
    content_type, _, rest = data.partition(b"\n")
    action, _, octets = rest.partition(b"\n")
    kind = content_type.decode("latin-1")
    said = action.decode("latin-1") if action else None
    part = None
    with contextlib.suppress(SoapError):
        part = read_message(octets[: len(octets) * 2 // 3], False, kind, said)
    try:
        whole = read_message(octets, True, kind, said)
    except SoapError as error:
        _declared(error.reason, error)
        return
    assert re.fullmatch(r"[A-Za-z]{1,64}", whole.operation)
    assert part is None or (part.operation, part.namespace) == (whole.operation, whole.namespace)
    root = strict_xml.read(octets, limit=len(octets), charset=strict_xml.charset_of(kind))
    bodies = [child for child in root.children if child.local == "Body"]
    assert len(bodies) == 1
    (first,) = bodies[0].children
    assert first.local.removesuffix("Message").removesuffix("Request") in (whole.operation, first.local)


def auth_policy(data: bytes) -> None:
    """A target in the first line, then the body."""
    target, _, body = data.partition(b"\n")
    path, _, query = target.decode("latin-1").partition("?")
    with contextlib.suppress(PolicyError):
        parse_command(path, query)
    try:
        ask = parse_ask(body)
    except PolicyError as error:
        _declared(error.status in (400, 413), error)
        return
    texts = [ask.login, ask.remote, ask.pwhash, ask.protocol, ask.device_id, ask.session_id, ask.fail_type]
    texts += [text for pair in ask.attributes for text in pair]
    "".join(texts).encode()  # all of it can be recorded
    assert ask.mechanism.isupper() or not ask.mechanism.islower()


def auth_request(data: bytes) -> None:
    """Headers of nginx's sub-request, one a line."""
    headers = []
    for line in data.split(b"\n"):
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value.strip(b" \t\r")))
    try:
        got = read_sub_request(headers, HOSTS)
    except HeadError as error:
        _declared(error.status in STATUSES, error)
        return
    assert got.request.host in HOSTS
    assert got.request.source
    assert bool(got.certificate) == bool(got.fingerprint)
    assert not any(name.startswith("x-gambeson-") for name, _ in got.request.headers)


def token(data: bytes) -> None:
    """A session token as text, and claims as they were signed."""
    with contextlib.suppress(session_token.TokenError):
        claims, signature = session_token.split(data.decode("latin-1"))
        assert session_token.token(claims, signature) == data.decode("latin-1")
        assert len(signature) == session_token.SIGNATURE
    try:
        got = session_token.read(data)
    except session_token.TokenError as error:
        _declared(error.reason == "malformed", error)
        return
    assert got.issued < got.expires <= got.issued + session_token.LIFETIME
    assert got.expires <= got.ends
    assert session_token.read(session_token.octets(got)) == got
    with contextlib.suppress(session_token.TokenError):
        session_token.check(got, "mail.example.org", 1_800_000_000.0)
        assert got.name == "mail.example.org"


_PORTAL = PortalSettings("https://login.example.org", applications=(ApplicationHost("app.example.org:8443"),))


def portal(data: bytes) -> None:
    """Cookies in the first line, then a query or form; where it names a way back, that stays where it belongs."""
    line, _, form = data.partition(b"\n")
    found = portal_cookies([line, b"a=b"])
    assert not any(";" in name + value for name, value in found.items())
    assert found.get("a", "b") == "b"  # a second one of the name, and none is believed
    try:
        fields = read_fields(form, 8192)
    except ProblemError as error:
        _declared(error.status == 400, error)
        return
    assert len(fields) <= MAX_FIELDS
    "".join((*fields, *fields.values())).encode()
    to = fields.get("to", "/")
    target = read_target(
        _PORTAL, fields.get("host", "app.example.org:8443"), fields.get("state", "0" * 64), to
    )
    if target is None:
        return
    there = urlsplit(urljoin("https://app.example.org:8443/.gambeson/enter", target.to))
    assert (there.scheme, there.netloc) == ("https", "app.example.org:8443"), to
    back = urlsplit(target.back("c"))
    assert back.netloc == "app.example.org:8443"
    assert dict(parse_qsl(back.query, keep_blank_values=True)) == {"code": "c", "to": target.to}


def tls_hello(data: bytes) -> None:
    """A ClientHello as it grows: once there is an answer, more octets do not change it."""
    final = server_name(data)
    for end in range(0, len(data), max(1, len(data) // 24)):
        early = server_name(data[:end])
        assert early is None or early == final
    assert final is None or (len(final) <= 255 and final == final.lower())


def connection(data: bytes) -> None:
    """A live connection object: the client's octets up to the first 0xFE, then the mail server's, each answer ended by
    another 0xFE."""
    client, *server = data.split(b"\xfe")
    loop, wire = Loop(), Wire()
    made = WebConnection(door(loop), HTTPS[0], "192.0.2.1", 4711)
    made.connection_made(cast(Transport, wire))
    feed(made, wire, loop, pieces(client), server)
    for late in (2000.0, 9000.0, 90000.0):
        made.due(late)
    made.connection_lost(None)
    assert made.phase in (Phase.CLOSED, Phase.HANDED_OVER)
    assert made not in made.door.web


WEB_TARGETS: dict[str, Callable[[bytes], None]] = {
    "http-head": head,
    "http-forward": forward,
    "cookies": cookies,
    "eas-query": eas_query,
    "wbxml": wbxml_document,
    "autodiscover-xml": autodiscover_xml,
    "soap": soap,
    "auth-policy": auth_policy,
    "auth-request": auth_request,
    "session-token": token,
    "portal-parameters": portal,
    "tls-hello": tls_hello,
    "web-connection": connection,
}
