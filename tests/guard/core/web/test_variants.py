"""Variants of known attacks that no shield's own cases have: each is stopped by the reader of heads, the grammar or a
shield, with signatures on; what its head tells is stopped with signatures off as well."""

from __future__ import annotations

import pytest

from gambeson.model.web import Lane, Product
from gambeson.wire.http_target import HeadError
from guard.core.web.asking import FIREFOX, ask, hit, route

FORM, JSON, PARTS = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x"
Variant = tuple[str, str, list[tuple[str, str]], bytes]

# Method, target, headers, the beginning of the body.
EXCHANGE: list[Variant] = [
    (
        "GET",
        "/owa/auth/logon.aspx",
        [("Cookie", "X-BEResource=a]@srv:444/ecp/proxyLogon.ecp?a=~1942062522;")],
        b"",
    ),
    ("GET", "/owa/", [("Cookie", "X%2DBEResource=srv~1")], b""),
    ("GET", "/owa/", [("Cookie", '$Version=1; "X-BEResource"="srv~1"')], b""),
    ("GET", "/owa/", [("Cookie", "x=1,X-BEResource=srv~1")], b""),
    ("GET", "/owa/", [("Cookie", "X-BEResource\t=srv~1")], b""),
    ("GET", "/owa/", [("Cookie", "a=b"), ("Cookie", "X-BEResource=srv~1")], b""),
    ("GET", "/owa/", [("X-AnonResource-Backend", "srv/ecp~1")], b""),
    ("GET", "/owa/", [("Cookie", "X-AnonResource=true; X-AnonResource-Backend=srv/ecp/default.flt?~3")], b""),
    ("GET", "/owa/", [("Cookie", "X-BackEndCookie=Database~x; X_BEResource=srv~1")], b""),
    ("POST", "/ecp/a.js", [], b""),
    ("POST", "/ecp/1.css?x", [], b""),
    ("POST", "/owa/auth/a.flt", [], b""),
    ("GET", "/ecp/proxyLogon.ecp", [], b""),
    (
        "POST",
        "/ecp/DDI/DDIService.svc/SetObject?schema=OABVirtualDirectory&msExchEcpCanary=x",
        [("Content-Type", JSON)],
        b"",
    ),
    (
        "POST",
        "/ecp/DDI/DDIService.svc/GetList?reqId=1615583487987&schema=VirtualDirectory",
        [("Content-Type", JSON)],
        b"",
    ),
    ("GET", "/owa/?x=serverInfo~a%5D@srv:444", [], b""),
    ("GET", "/OWA/", [("Cookie", "X-ClientId=1; X-BEResource=[::1]:444/powershell~1")], b""),
    ("GET", "/owa/auth/logon.aspx?x=/ecp/proxyLogon.ecp", [], b""),
    (
        "GET",
        "/autodiscover/autodiscover.json?@foo.com/mapi/nspi/?&Email=autodiscover/autodiscover.json%3F@foo.com",
        [],
        b"",
    ),
    ("POST", "/autodiscover/autodiscover.json?@foo.com/ews/exchange.asmx", [], b""),
    (
        "GET",
        "/autodiscover/autodiscover.json?a@foo.com/ecp/",
        [("Cookie", "Email=autodiscover/autodiscover.json?a@foo.com")],
        b"",
    ),
    (
        "GET",
        "/autodiscover/autodiscover.json?Email=a%40foo.com&Protocol=EWS",
        [("Cookie", "Email=autodiscover/autodiscover.json?a@foo.com")],
        b"",
    ),
    ("GET", "/owa/", [("Cookie", "Email=autodiscover/autodiscover.json?a@foo.com")], b""),
    ("POST", "/ews/exchange.asmx", [("Cookie", "Email=autodiscover/autodiscover.json?a@foo.com")], b""),
    (
        "POST",
        "/autodiscover/autodiscover.xml",
        [("Cookie", "Email=Autodiscover%2FAutodiscover.json%3fa@foo.com")],
        b"",
    ),
    (
        "GET",
        "/Autodiscover/Autodiscover.json?foo@x.com/?&Email=Autodiscover/Autodiscover.json%3ffoo@x.com",
        [],
        b"",
    ),
    ("GET", "/autodiscover/autodiscover.json%3f@foo.com/owa/", [], b""),
    ("GET", "/autodiscover/autodiscover.json/../../mapi/nspi", [], b""),
    ("GET", "/autodiscover//autodiscover.json?@x.com/api/", [], b""),
    (
        "GET",
        "/autodiscover/autodiscover.json?Email=autodiscover%2fautodiscover.json%3f%40x.com&Protocol=EWS",
        [],
        b"",
    ),
    ("GET", "/autodiscover/autodiscover.json/v1.0/@foo.com/mapi/nspi", [], b""),
    ("GET", "/autodiscover/autodiscover.json/v1.0/a@foo.com%2fmapi%2fnspi?Protocol=EWS", [], b""),
    ("POST", "/owa/", [("X-Rps-CAT", "VgEA")], b""),
    ("POST", "/owa/?x%2drps%2dcat=V", [], b""),
    ("POST", "/owa/service.svc?action=GetFolder", [("X_Rps_CAT", "V"), ("Content-Type", JSON)], b""),
    (
        "GET",
        "/autodiscover/autodiscover.json?a..foo.var/owa/?&Email=autodiscover/autodiscover.json?a..foo.var&Protocol=XYZ&FooProtocol=%50owershell",
        [],
        b"",
    ),
    ("GET", "/autodiscover/autodiscover.json?a@x/%50%6f%77%65rshell", [], b""),
    ("GET", "/autodiscover/%70owershell@x/autodiscover.json", [], b""),
    ("POST", "/autodiscover/autodiscover.json?Protocol=Powershell&Email=a@x.com", [], b""),
    ("GET", "/autodiscover/autodiscover.json?Email=a@x.com&Protocol=EWS&RedirectCount=powershell", [], b""),
    ("POST", "/owa/a@x.com/powershell/", [], b""),
    ("POST", "/owa/a%40x.com/%70owershell", [], b""),
    ("POST", "/owa/a@x.com/service.svc/../powershell", [], b""),
    ("POST", "/owa/mastermailbox@outlook.com/powershell?serializationLevel=Full", [], b""),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [("X-OWA-ExplicitLogonUser", "owa/a@x.com"), ("Content-Type", JSON)],
        b"",
    ),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [("X-OWA-ExplicitLogonUser", "a@x.com/powershell"), ("Content-Type", JSON)],
        b"",
    ),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [("X-OWA-ExplicitLogonUser", "owa%2fa@x.com"), ("Content-Type", JSON)],
        b"",
    ),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [("X.OWA.ExplicitLogonUser", "owa/a@x.com"), ("Content-Type", JSON)],
        b"",
    ),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [
            ("X-OWA-ExplicitLogonUser", "a@x.com"),
            ("X-OWA-ExplicitLogonUser", "owa/a@x.com"),
            ("Content-Type", JSON),
        ],
        b"",
    ),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [("X-OWA-ExplicitLogonUser", "owa"), ("Content-Type", JSON)],
        b"",
    ),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [("X-OWA-ExplicitLogonUser", "a@x.com?powershell"), ("Content-Type", JSON)],
        b"",
    ),
    (
        "POST",
        "/owa/service.svc?action=GetFolder",
        [("X-OWA-ExplicitLogonUser", "a@x.com#x"), ("Content-Type", JSON)],
        b"",
    ),
    (
        "GET",
        "/ecp/a@x.com/PersonalSettings/HomePage.aspx?showhelp=false",
        [("Cookie", "SecurityToken=x")],
        b"",
    ),
    (
        "POST",
        "/ecp/a@x.com/RulesEditor/InboxRules.svc/NewObject?msExchEcpCanary=x",
        [("Cookie", "SecurityToken=x"), ("Content-Type", JSON)],
        b"",
    ),
    ("POST", "/ecp/a@x.com/RulesEditor/InboxRules.svc/NewObject", [("Content-Type", JSON)], b""),
    ("GET", "/ecp/?rfr=owa", [("Cookie", "Security%54oken=x")], b""),
    ("GET", "/owa/", [("Cookie", "a=b;SecurityToken")], b""),
    ("GET", "/ecp/?rfr=owa", [("Security-Token", "x")], b""),
    (
        "GET",
        "/owa/auth/frowny.aspx?app=people&et=ServerError&esrc=MasterPage&te=%5C&refurl=}}};alert(document.domain)//",
        [],
        b"",
    ),
    ("GET", "/owa/auth/errorfe.aspx?et=x&refurl=javascript:alert(1)", [], b""),
    ("GET", "/owa/", [("Cookie", "cadata=AAAA; cadata=BBBB")], b""),
    ("GET", "/ecp/default.aspx?__VIEWSTATEGENERATOR=B97B4E27&__VIEWSTATE=/wEy", [], b""),
    ("GET", "/owa/?__VIEWSTATE=a", [], b""),
    ("GET", "/ecp/?rfr=owa&__viewstate1=a", [], b""),
    ("POST", "/ecp/?rfr=owa", [("Content-Type", FORM)], b"__VIEWSTATEGENERATOR=B97B4E27&__VIEWSTATE=/wEy"),
    ("POST", "/ecp/PersonalSettings/Password.aspx", [("Content-Type", FORM)], b"__VIEWSTATE=%2fwEy"),
    ("POST", "/owa/auth.owa", [("Content-Type", FORM)], b"__VIEWSTATE=%2fwEy"),
    ("POST", "/owa/languageselection.aspx", [("Content-Type", FORM)], b"__VIEWSTATE=%2fwEy"),
    ("POST", "/owa/lang.owa", [("Content-Type", FORM)], b"__VIEWSTATE=%2fwEy"),
    (
        "POST",
        "/ecp/PersonalSettings/HomePage.aspx?showhelp=false",
        [("Content-Type", PARTS)],
        b'--x\r\nContent-Disposition: form-data; name="__VIEWSTATE"\r\n\r\n/wEy',
    ),
    *(
        ("POST", "/ecp/PersonalSettings/HomePage.aspx", [("Content-Type", kind)], body)
        for kind, body in (
            (FORM, b"__VIEWSTATE=%2F%0Aw+E%0D%0Ay"),
            (FORM, b"__VIEWSTATE=" + b"+" * 60 + b"%2FwEyAAEAAAD%2F%2F%2F%2F%2FAQAAAA"),
            (FORM, b"__VIEWSTATE=%2Fw&__VIEWSTATE1=Ey&__VIEWSTATEFIELDCOUNT=2"),
            (FORM, b"__VIEWSTATE=%2FwEPMgABAAAA%2F%2F%2F%2F%2FwEAAAAAAAAA"),
            (FORM, b"__VIEWSTATE=%2FwEPMpkAAQAAAP%2F%2F%2F%2F8BAAAAAAAAAA"),
            (FORM, b"__EVENTVALIDATION=%2FwEyAAEAAAD%2F%2F%2F%2F%2FAQAAAA"),
            (
                PARTS,
                b'--x\r\nContent-Disposition: form-data; name="__VIEWSTATE"\r\nX-A: b\r\n\r\n/wEyAAEAAAD/////AQAAAAA',
            ),
            # ASP.NET reads a form in the charset that it is said to have.
            (f"{FORM}; charset=ibm500", "__VIEWSTATE=/wEy".encode("cp500")),
            (f"{FORM}; charset=utf-7", b"+AF8AXw-VIEWSTATE=+AC8-wEy"),
            (f"{FORM}; charset=utf-8; charset=utf-7", b"+AF8AXw-VIEWSTATE=+AC8-wEy"),
            (f'{FORM}; CharSet = "utf-7"', b"+AF8AXw-VIEWSTATE=+AC8-wEy"),
            (f"{PARTS}; charset=utf-16", b""),
        )
    ),
    (
        "POST",
        "/ecp/PersonalSettings/HomePage.aspx",
        [("Content-Type", FORM), ("Content-Encoding", "gzip")],
        b"\x1f\x8b",
    ),
    ("POST", "/powershell?PSVersion=5.1", [], b""),
    ("POST", "/PowerShell-Proxy/", [], b""),
    ("POST", "/psws/service.svc", [], b""),
    ("POST", "/powershell%20/", [], b""),
    ("POST", "/powershell.", [], b""),
    ("POST", "/Power%u0053hell/", [], b""),
    ("POST", "/rpcproxy/powershell", [], b""),
    ("POST", "/owa/PowerShell", [], b""),
    ("POST", "/ews/../powershell/", [], b""),
    ("POST", "/mapi/powershell", [], b""),
    ("POST", "/owa/calendar/x@y/reachcalendar.html", [], b""),
    ("POST", "/owa/calendar/a/b/calendar.html", [], b""),
    ("POST", "/ecp/DLPPolicy/ManagePolicyFromISV.aspx", [("Content-Type", FORM)], b""),
    ("GET", "/owa/auth/Current/themes/resources/shell.aspx", [], b""),
    ("GET", "/aspnet_client/shell.aspx?cmd=whoami", [], b""),
    ("GET", "/owa/auth/OutlookEN.aspx", [], b""),
    ("POST", "/owa/auth/help.aspx", [("Content-Type", FORM)], b""),
    ("GET", "/owa/14.1.1/scripts/x.aspx", [], b""),
    ("GET", "/owa/auth/15.2.1/scripts/shell.aspx/x.js", [], b""),
    ("GET", "/owa/prem/15.2.1/a.ashx/b/c.png", [], b""),
    ("GET", "/ecp/15.2.1/themes/x.svc/x.css", [], b""),
    ("POST", "/ecp/Organize/AutomaticReplies.slab", [("Content-Type", JSON)], b""),
    ("POST", "/EWS/Exchange.asmx", [("Content-Type", "text/xml"), ("X-BEResource", "x")], b""),
    (
        "GET",
        "/owa/",
        [("User-Agent", "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; %54rident/6.0)")],
        b"",
    ),
    ("GET", "/owa/projection.aspx", [("User-Agent", "MSIE 9.0")], b""),
]

ROUNDCUBE: list[Variant] = [
    (
        "POST",
        "/?_task=settings&_action=upload&_remote=1&_from=edit-%21xxx&_id=",
        [("Content-Type", PARTS)],
        b"",
    ),
    ("POST", "/?_task=settings&_action=upload&_remote=1&_from[]=x", [("Content-Type", PARTS)], b""),
    (
        "POST",
        "/?_task=settings&_action=upload&_from=edit-identity&_from=edit-!x",
        [("Content-Type", PARTS)],
        b"",
    ),
    ("POST", "/?_task=settings&_action=upload&%5ffrom=edit-%2521x", [("Content-Type", PARTS)], b""),
    (
        "POST",
        "/index.php?_task=settings&_action=upload&_from=edit-identity%00!",
        [("Content-Type", PARTS)],
        b"",
    ),
    (
        "POST",
        "/?_task=settings&_action=upload&_from=edit-identity",
        [("Content-Type", PARTS)],
        b'--x\r\nContent-Disposition: form-data; name="_from"\r\n\r\nedit-!a;i:0;O:16:"Crypt_GPG_Engine":3:{',
    ),
    (
        "POST",
        "/?_task=settings&_action=upload",
        [("Content-Type", PARTS)],
        b'--x\r\nContent-Disposition: form-data; name="_from"\r\n\r\nedit-!";i:0;O:16:"Crypt_GPG_Engine":3:{',
    ),
    (
        "POST",
        "/?_task=settings&_action=upload&_from=edit-identity",
        [("Content-Type", PARTS)],
        b'--x\r\nContent-Disposition: form-data; name="_file[]"; filename=x|O:16:"Crypt_GPG_Engine":3:{}\r\n',
    ),
    (
        "POST",
        "/?_task=settings&_action=upload&_from=edit-identity",
        [("Content-Type", PARTS)],
        b'--x\r\nContent-Disposition: form-data; name="_file[]"; '
        b"filename*=UTF-8''%7CO%3A16%3A%22Crypt_GPG_Engine%22%3A3%3A%7B%7D\r\n",
    ),
    (
        "POST",
        "/?_task=settings&_action=upload&_from=edit-identity",
        [("Content-Type", PARTS)],
        b'--x\r\ncontent-disposition : form-data; name="_file[]"; filename="|O:16:\\"Crypt_GPG_Engine\\":3:{}"\r\n',
    ),
    (
        "POST",
        "/?_task=settings&_action=upload&_from=edit-identity",
        [("Content-Type", PARTS)],
        b'--x\r\nContent-Disposition: form-data; name="_file[]";\r\n filename="|O:16:\\"Crypt_GPG_Engine\\":3:{}"\r\n',
    ),
    (
        "POST",
        "/?_task=settings&_action=upload&_from=edit-identity",
        [("Content-Type", "Multipart/Form-Data; boundary=x")],
        b'--x\r\nContent-Disposition: form-data; name="_file[]"; filename="a|a:1:{i:0;O:3:\\"X_Y\\":0:{}}"\r\n',
    ),
    ("GET", "/installer/index.php?_step=3", [], b""),
    ("POST", "/installer/?_step=2&_im_convert_path=x", [("Content-Type", FORM)], b""),
    ("POST", "/?_im_convert_path=id", [("Content-Type", FORM)], b""),
    ("POST", "/installer%2findex.php", [("Content-Type", FORM)], b""),
    ("POST", "/roundcube/installer/index.php/x", [("Content-Type", FORM)], b""),
    ("POST", "/INSTALLER/", [("Content-Type", FORM)], b""),
    ("POST", "/?_task=mail&_action=upload&_plugins=x", [("Content-Type", FORM)], b""),
    ("GET", "/?_task=settings&_action=upload-display&_from=timezone&_file=rcmfile1", [], b""),
    (
        "POST",
        "/?_task=settings&_action=save-prefs",
        [("Content-Type", FORM)],
        b"_timezone[files][1][path]=/etc/passwd&_from=timezone",
    ),
    (
        "POST",
        "/?_task=settings&_action=edit-prefs",
        [("Content-Type", FORM)],
        b"_section=general&_timezone%5Bfiles%5D%5B1%5D%5Bpath%5D=/etc/passwd",
    ),
    ("GET", "/?_task=settings&_action=upload-display&_from=timezon%65", [], b""),
    ("GET", "/config/config.inc.php~", [], b""),
    ("GET", "/plugins/managesieve/config.inc.php", [], b""),
    ("GET", "/program/lib/Roundcube/bootstrap.php", [], b""),
    ("GET", "/plugins/x/y.php", [], b""),
    ("GET", "/plugins/x/y.php/z.js", [], b""),
    ("GET", "/skins/elastic/x.phar/y.css", [], b""),
    ("GET", "/static.php/plugins/x/y.php/z.js", [], b""),
    ("GET", "/program/js/x.php/y.js", [], b""),
    ("GET", "/skins/../config/config.inc.php", [], b""),
    ("GET", "/.env", [], b""),
    ("GET", "/?_task=mail&_action=plugin.zipdownload.messages/../../x", [], b""),
    ("GET", "/index.php/installer/", [], b""),
    ("GET", "/?_skin=../../../../tmp/x", [], b""),
]

ALL = [
    (product, *one)
    for product, some in ((Product.EXCHANGE, EXCHANGE), (Product.ROUNDCUBE, ROUNDCUBE))
    for one in some
]


@pytest.mark.parametrize(("product", "method", "target", "headers", "body"), ALL)
def test_it_is_stopped(
    product: Product, method: str, target: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    agent = [] if any(name == "User-Agent" for name, _ in headers) else [("User-Agent", FIREFOX)]
    try:
        request = ask(method, target, [*agent, *headers], body=bool(body) or method != "GET")
    except HeadError:
        return
    stopped = route(product, request).lane is Lane.NEVER
    told_by_agent = not agent
    assert stopped or ((body or told_by_agent) and hit(product, request, body) is not None)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/owa/", [("Cookie", "email=anna%40example.org; Email_2=a/b")]),
        ("POST", "/owa/service.svc?action=GetO365ShellData&EP=1&ID=-1&AC=1", [("Content-Type", JSON)]),
        ("POST", "/owa/service.svc?action=ExecuteSearch", [("Content-Type", JSON)]),
        ("POST", "/owa/auth.owa", [("Content-Type", f"{FORM}; charset=UTF-8")]),
        ("POST", "/ecp/PersonalSettings/Password.aspx", [("Content-Type", f'{PARTS}; charset="utf-8"')]),
        ("POST", "/owa/auth.owa", [("Content-Type", FORM), ("Content-Encoding", "identity")]),
    ],
)
def test_what_looks_like_one_and_is_none_passes(
    method: str, target: str, headers: list[tuple[str, str]]
) -> None:
    request = ask(method, target, [("User-Agent", FIREFOX), *headers], body=method == "POST")
    assert route(Product.EXCHANGE, request).lane is Lane.WEB
    assert hit(Product.EXCHANGE, request) is None


@pytest.mark.parametrize(
    "word", ["x", "getFolder", "Get-Folder", "Get.Folder", "GetFolder%2f", "Get%20Folder", "9Get", "G" * 62]
)
def test_what_is_no_name_of_a_method_is_no_action_of_owa(word: str) -> None:
    request = ask("POST", f"/owa/service.svc?action={word}", [("Content-Type", JSON)], body=True)
    assert route(Product.EXCHANGE, request).lane is Lane.NEVER
