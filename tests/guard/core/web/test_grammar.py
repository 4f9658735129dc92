"""The request grammars: which lane, and that everything unlisted is *never*."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.grammar import Grammar, GrammarError, load_grammars, parse_grammar
from gambeson.model.access import BROWSER_DOORS, DEVICE_WEB_DOORS
from gambeson.model.web import Lane, Product, WebRequest
from guard.core.web.asking import SITES, ask, route

X, R, S = Product.EXCHANGE, Product.ROUNDCUBE, Product.SOGO
WBXML = [("Content-Type", "application/vnd.ms-sync.wbxml")]
MAPI = [("Content-Type", "application/mapi-http"), ("X-RequestType", "Execute")]
SOAP = [("Content-Type", "text/xml; charset=utf-8")]
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

LISTED = [
    (X, "GET", "/owa/", [], "web", "owa", ""),
    (X, "GET", "/OWA/", [], "web", "owa", ""),
    (X, "GET", "/%6fwa/", [], "web", "owa", ""),
    (X, "GET", "/ecp/?rfr=owa", [], "web", "ecp", ""),
    (X, "OPTIONS", "/Microsoft-Server-ActiveSync", [], "device", "eas", ""),
    (
        X,
        "POST",
        "/Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=B&DeviceType=C",
        WBXML,
        "device",
        "eas",
        "",
    ),
    (
        X,
        "POST",
        "/Microsoft-Server-ActiveSync?jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l",
        WBXML,
        "device",
        "eas",
        "",
    ),
    (X, "POST", "/EWS/Exchange.asmx", SOAP, "device", "ews", ""),
    (X, "POST", f"/mapi/emsmdb/?MailboxId={GUID}@example.org", MAPI, "device", "mapi", ""),
    (X, "GET", f"/OAB/{GUID}/oab.xml", [], "device", "oab", ""),
    (X, "POST", "/Autodiscover/Autodiscover.xml", SOAP, "local", None, "autodiscover-pox"),
    (X, "POST", "/autodiscover/autodiscover.svc", SOAP, "local", None, "autodiscover-soap"),
    (
        X,
        "GET",
        "/autodiscover/autodiscover.json?Email=a@example.org&Protocol=ActiveSync",
        [],
        "local",
        None,
        "autodiscover-v2",
    ),
    (
        X,
        "GET",
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=a%40example.org",
        [],
        "local",
        None,
        "autoconfig",
    ),
    (R, "GET", "/", [], "web", "webmail", ""),
    (R, "GET", "/roundcube/?_task=mail&_mbox=INBOX", [], "web", "webmail", ""),
    (R, "GET", "/roundcube/skins/elastic/styles/styles.min.css?s=1", [], "web", "webmail", ""),
    (R, "GET", "/mail/config-v1.1.xml", [], "local", None, "autoconfig"),
    (S, "GET", "/SOGo/", [], "web", "webmail", ""),
    (S, "POST", "/SOGo/connect", [("Content-Type", "application/json")], "web", "webmail", ""),
    (S, "OPTIONS", "/Microsoft-Server-ActiveSync", [], "device", "eas", ""),
]


@pytest.mark.parametrize(("product", "method", "target", "headers", "lane", "door", "local"), LISTED)
def test_what_legitimate_clients_ask(product, method, target, headers, lane, door, local) -> None:
    found = route(product, ask(method, target, headers, body=method == "POST"))
    assert (found.lane, found.door, found.local) == (lane, door, local)


NEVER = [
    (X, "GET", "/powershell"),
    (X, "POST", "/PowerShell/?serializationLevel=Full"),
    (X, "POST", "/rpc/rpcproxy.dll?exch:6001"),
    (X, "GET", "/api/v2.0/me"),
    (X, "GET", "/aspnet_client/shell.aspx"),
    (X, "GET", "/public/"),
    (X, "POST", "/PushNotifications/service.svc"),
    (X, "GET", "/RpcWithCert/rpcproxy.dll"),
    (X, "GET", "/owa/healthcheck.htm"),
    (X, "GET", "/ews/healthcheck.htm"),
    (X, "GET", "/ecp/"),
    (X, "GET", "/ecp/default.aspx"),
    (X, "GET", "/ecp/?rfr=admin&p=UsersGroups/Mailboxes.slab"),
    (X, "GET", "/ecp/?p=PersonalSettings/Password.aspx"),
    (X, "POST", "/ecp/DDI/DDIService.svc/GetList?schema=MailboxService"),
    (X, "GET", "/ecp/Reporting/x"),
    (X, "POST", "/ecp/proxyLogon.ecp"),
    (X, "GET", "/ecp/UsersGroups/Mailboxes.slab"),
    (X, "GET", "/ecp/Servers/ManageServers.aspx"),
    (X, "POST", "/owa/auth/15.1.2507/scripts/premium/flogon.js"),
    (X, "GET", "/owa/auth/frowny.aspx"),
    (X, "GET", "/owa/auth/shell.aspx"),
    (X, "GET", "/owa/auth/15.1.2507/shell.aspx"),
    (X, "GET", "/EWS/Exchange.asmx"),
    (X, "POST", "/EWS/Services.wsdl"),
    (X, "GET", "/mapi/emsmdb/"),
    (X, "POST", f"/OAB/{GUID}/oab.xml"),
    (X, "GET", f"/OAB/{GUID}/web.config"),
    (X, "GET", "/Microsoft-Server-ActiveSync"),
    (X, "PUT", "/owa/"),
    (X, "TRACE", "/owa/"),
    (X, "PROPFIND", "/owa/"),
    (X, "GET", "/owa/?whatever=1"),
    (X, "GET", "/owa/?reason=0&__VIEWSTATE=x"),
    (X, "POST", "/owa/service.svc"),
    (X, "GET", "/autodiscover/autodiscover.json?Email=a@b.c&Protocol=PowerShell"),
    (X, "GET", "/autodiscover/autodiscover.json?Email=a%2Fb@example.org"),
    (X, "POST", "/autodiscover/autodiscover.json?Email=a@example.org"),
    (X, "GET", "/autodiscover/autodiscover.xml"),
    (X, "GET", "/exchange/"),
    (X, "GET", "/index.html"),
    (X, "GET", "/owa/anna@example.org/powershell"),
    (R, "GET", "/installer/"),
    (R, "GET", "/roundcube/installer/index.php"),
    (R, "GET", "/config/config.inc.php"),
    (R, "GET", "/bin/update.sh"),
    (R, "GET", "/logs/errors.log"),
    (R, "GET", "/temp/x"),
    (R, "GET", "/SQL/mysql.initial.sql"),
    (R, "GET", "/vendor/autoload.php"),
    (R, "GET", "/plugins/password/config.inc.php"),
    (R, "GET", "/composer.json"),
    (R, "GET", "/index.php/x"),
    (R, "GET", "/?_task=cli"),
    (R, "GET", "/?_task=mail&_action=evil.php"),
    (R, "POST", "/?_task=settings&_action=upload&_from=edit-!x"),
    (R, "GET", "/?.from=x"),
    (R, "GET", "/?_from[]=a%21"),
    (R, "GET", "/skins/elastic/templates/login.html"),
    (R, "GET", "/plugins/x/.htaccess"),
    (R, "GET", "/?XDEBUG_SESSION=1"),
    (S, "PROPFIND", "/SOGo/dav/anna/"),
    (S, "GET", "/SOGo/dav/anna/Calendar/personal/"),
    (S, "GET", "/SOGo/so/anna/Administration/view"),
    (S, "GET", "/.well-known/caldav"),
    (S, "DELETE", "/SOGo/so/anna/Mail/0/folderINBOX/1"),
    (S, "GET", "/sogo-internal"),
]


@pytest.mark.parametrize(("product", "method", "target"), NEVER)
def test_everything_else_is_never(product, method, target) -> None:
    if method == "TRACE":
        request = WebRequest(method, "mail.example.org", target, "", target.lower())
    else:
        request = ask(method, target, body=method in ("POST", "PUT"))
    assert route(product, request).lane is Lane.NEVER


@pytest.mark.parametrize(
    "header",
    [
        ("X-Rps-CAT", "x"),
        ("x_rps_cat", "x"),
        ("X-RPS_CAT", "x"),
        ("X-CommonAccessToken", "x"),
        ("X-IsFromCafe", "1"),
        ("X_IsFromCafe", "1"),
        ("X-SourceCafeServer", "x"),
        ("X-OriginalRequestHost", "x"),
        ("X-OriginalRequestHostSchemePort", "443:https:x"),
        ("X-Original_RequestHost", "x"),
        ("X-BEResource", "x"),
        ("X-AnonResource-Backend", "x"),
        ("SecurityToken", "x"),
        ("X-HTTP-Method-Override", "PUT"),
        ("X-Original-URL", "/powershell"),
        ("Cookie", "X-BEResource=a~1"),
        ("Cookie", "a=b; x-beresource=a~1"),
        ("Cookie", '"X-BEResource"=a'),
        ("Cookie", "X_BEResource=a"),
        ("Cookie", "a=b, X-AnonResource-Backend=x"),
        ("Cookie", "X-AnonResource = true"),
        ("Cookie", "X-BE%52esource=a"),
        ("Cookie", "SecurityToken=x"),
        ("Cookie", "%2558-BEResource=a"),
        ("Cookie", "$Version=1; securitytoken=x"),
        ("Cookie", 'a="x; X-BEResource=y"'),
        ("Cookie", "X-BEResource"),
        ("Cookie", "cadata=A; cadata=B"),
        ("Cookie", "cadata=<x>"),
        ("Cookie", "CADATA=A; cadata=B"),
    ],
)
@pytest.mark.parametrize("target", ["/owa/", "/ecp/?rfr=owa", "/owa/service.svc?action=FindItem"])
def test_headers_and_cookies_that_no_client_sends(header, target) -> None:
    method = "POST" if "svc" in target else "GET"
    assert route(X, ask(method, target, [header])).lane is Lane.NEVER


def test_a_shared_mailbox_is_named_once_on_owa_and_is_an_address() -> None:
    name = "X-OWA-ExplicitLogonUser"

    def lane(target: str, *values: str, spelt: str = name) -> Lane:
        return route(X, ask("POST", target, [(spelt, value) for value in values])).lane

    service = "/owa/service.svc?action=FindItem"
    assert lane(service, "shared@example.org") is Lane.WEB
    for value in (
        "owa/shared@example.org",
        "OWA/x@y",
        "a@b/powershell",
        "a%2f@b",
        "a;b@c",
        "",
        "shared",
        "a@b@c",
        "\\owa\\a@b",
        "a@b?c",
        "a@b x",
    ):
        assert lane(service, value) is Lane.NEVER, value
    assert lane(service, "a@example.org", "b@example.org") is Lane.NEVER
    assert lane(service, "a@example.org", spelt="X_OWA_ExplicitLogonUser") is Lane.NEVER
    assert lane("/EWS/Exchange.asmx", "a@example.org") is Lane.NEVER
    both = [(name, "a@example.org"), ("X-OWA_ExplicitLogonUser", "owa/b@c")]
    assert route(X, ask("POST", service, both)).lane is Lane.NEVER


def test_people_have_no_lane_where_devices_show_certificates() -> None:
    host = "devices.example.org"
    assert route(X, ask("GET", "/owa/", host=host)).rule == "device-host"
    assert route(X, ask("OPTIONS", "/Microsoft-Server-ActiveSync", host=host)).lane is Lane.DEVICE


def test_polls_may_be_silent_for_an_hour() -> None:
    grammar = load_grammars()[X]
    for method, target, headers in (
        ("POST", "/Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=B&DeviceType=C", WBXML),
        ("POST", f"/mapi/emsmdb/?MailboxId={GUID}@example.org", MAPI),
        ("GET", "/owa/ev.owa2?ns=PendingRequest&ev=PendingNotificationRequest", []),
    ):
        assert grammar.idle(route(X, ask(method, target, headers, body=method == "POST"))) == 3600
    assert grammar.idle(route(X, ask("GET", "/owa/"))) == 300


def test_a_get_brings_no_body_and_a_parameter_comes_once() -> None:
    assert route(X, ask("GET", "/owa/", body=True)).lane is Lane.NEVER
    assert route(X, ask("GET", "/owa/?bO=1&bO=2")).lane is Lane.NEVER
    assert route(R, ask("GET", "/?_cols[]=a&_cols[]=b")).lane is Lane.WEB
    assert route(R, ask("GET", "/?_task=mail&_task=settings")).lane is Lane.NEVER


def test_lanes_and_doors_fit_together() -> None:
    for grammar in load_grammars().values():
        for line in grammar.lines:
            if line.lane is Lane.WEB:
                assert line.door in BROWSER_DOORS
            elif line.lane is Lane.DEVICE:
                assert line.door in DEVICE_WEB_DOORS
            else:
                assert line.door is None
            assert line.lane is not Lane.PUBLIC, "nothing of these products needs to be seen unproven"


_TEXT = st.text(max_size=40)
_PAIRS = st.lists(st.tuples(_TEXT, _TEXT), max_size=4).map(tuple)


@given(
    st.sampled_from(list(load_grammars().values())),
    st.builds(
        WebRequest,
        method=st.sampled_from(["GET", "POST", "OPTIONS", "X"]),
        host=_TEXT,
        path=_TEXT,
        query=_TEXT,
        canonical=st.one_of(
            _TEXT, _TEXT.map(lambda text: "/owa/" + text), st.sampled_from(["/", "/owa/", "/sogo"])
        ),
        parameters=_PAIRS,
        headers=_PAIRS,
        cookies=_PAIRS,
        body=st.booleans(),
    ),
)
def test_any_request_has_a_route(grammar: Grammar, request_: WebRequest) -> None:
    found = grammar.classify(request_, SITES[grammar.product])
    assert found == grammar.classify(request_, SITES[grammar.product])


LINE = '[[line]]\nname = "a"\nlane = "web"\ndoor = "owa"\nmethods = ["GET"]\npath = "/a"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "no TOML"),
        ('product = "nobody"\n' + LINE, "nobody"),
        ('product = "sogo"\n', "between one"),
        ('product = "sogo"\nextra = 1\n' + LINE, "extra"),
        ('product = "sogo"\n' + LINE + LINE, "two lines"),
        ('product = "sogo"\n' + LINE.replace("/a", "/A"), "lower case"),
        ('product = "sogo"\n' + LINE.replace("owa", "nodoor"), "nodoor"),
        ('product = "sogo"\n' + LINE.replace('door = "owa"\n', ""), "door"),
        ('product = "sogo"\n' + LINE + "idle = 9999\n", "idle"),
        ('product = "sogo"\n' + LINE + 'parameters = ["a:unknown"]\n', "unknown"),
        ('product = "sogo"\n' + LINE + 'parameters = ["A"]\n', "lower case"),
        ('product = "sogo"\n' + LINE.replace('"/a"', '"/{strange}"'), "strange"),
        ('product = "sogo"\n' + LINE.replace('"web"', '"local"').replace('door = "owa"\n', ""), "local"),
        ('product = "sogo"\n[values]\nx = "("\n' + LINE, "values.x"),
    ],
)
def test_a_grammar_that_cannot_be_meant(text: str, said: str) -> None:
    with pytest.raises(GrammarError, match=said):
        parse_grammar(text, "sogo.toml")


def test_the_first_line_that_fits_wins() -> None:
    never = '[[line]]\nname = "b"\nlane = "never"\npath = "/{word}"\n'
    request = ask("GET", "/a")
    assert parse_grammar('product = "sogo"\n' + never + LINE, "x").classify(request, SITES[S]).rule == "b"
    assert parse_grammar('product = "sogo"\n' + LINE + never, "x").classify(request, SITES[S]).rule == "a"
