"""The Exchange emulator, asked as programs ask: default authentication, per-user answers, log files."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gambeson.playground.exchange.exchange import Request, Response
from gambeson.playground.exchange.front_end import FrontEnd
from gambeson.playground.exchange.logs import PROXY, W3C, ExchangeLogs
from gambeson.playground.serve import open_mailboxes
from gambeson.wire.wbxml import element, read, write
from gambeson.wire.wbxml_pages import PING, PROVISION

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ALMA, WORD = "alma@playground.example", "right horse"


@pytest.fixture
def front(tmp_path: Path) -> FrontEnd:
    return FrontEnd(open_mailboxes(tmp_path / "mail", datetime(2026, 11, 24, tzinfo=UTC)), {ALMA: WORD})


def ask(
    front: FrontEnd, method: str, target: str, word: str = "", body: bytes = b"", **headers: str
) -> Response:
    path, _, query = target.partition("?")
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if word:
        given["authorization"] = "Basic " + base64.b64encode(word.encode()).decode()
    return front.answer(Request(method, path, query, given, body, source="192.0.2.7"))[1]


@pytest.mark.parametrize(
    ("target", "challenges"),
    [
        ("/owa/", ["Basic"]),
        ("/Microsoft-Server-ActiveSync", ["Basic"]),
        ("/EWS/Exchange.asmx", ["Negotiate", "NTLM", "Basic"]),
        ("/mapi/emsmdb", ["Negotiate", "NTLM", "Basic"]),
        ("/PowerShell", ["Negotiate", "NTLM"]),
        ("/Autodiscover/Autodiscover.xml", ["Negotiate", "NTLM", "Basic"]),
    ],
)
def test_each_directory_asks_as_documented(front: FrontEnd, target: str, challenges: list[str]) -> None:
    answer = ask(front, "POST", target)
    assert answer.status == 401
    assert [v.split()[0] for n, v in answer.headers if n == "WWW-Authenticate"] == challenges


def test_a_browser_is_led_to_the_form_and_a_wrong_password_opens_nothing(front: FrontEnd) -> None:
    assert ask(front, "GET", "/owa/", accept="text/html").status == 302
    assert ask(front, "GET", "/owa/auth/logon.aspx").status == 200
    assert ask(front, "GET", "/owa/", f"{ALMA}:wrong").status == 401
    page = ask(front, "GET", "/owa/", f"PLAYGROUND\\alma:{WORD}")
    assert page.status == 200
    assert b"Lunch on Thursday?" in page.body


def test_a_phone_provisions_and_reads(front: FrontEnd) -> None:
    there = "/Microsoft-Server-ActiveSync?Cmd={}&User=alma&DeviceId=SEC1&DeviceType=P"
    who = f"{ALMA}:{WORD}"
    assert "14.1" in dict(ask(front, "OPTIONS", there.format("x"), who).headers)["MS-ASProtocolVersions"]
    old = ask(front, "POST", there.format("FolderSync"), who, ms_asprotocolversion="12.1")
    assert old.status == 449
    new = ask(front, "POST", there.format("FolderSync"), who, ms_asprotocolversion="14.1")
    assert read(new.body).value("Status") == "142"
    asked = write(
        element(PROVISION, "Provision", element(PROVISION, "Policies", element(PROVISION, "Policy")))
    )
    first = read(ask(front, "POST", there.format("Provision"), who, asked).body)
    key = first.value("Policies", "Policy", "PolicyKey")
    said = element(
        PROVISION, "Policy", element(PROVISION, "PolicyKey", key), element(PROVISION, "Status", "1")
    )
    done = write(element(PROVISION, "Provision", element(PROVISION, "Policies", said)))
    final = read(ask(front, "POST", there.format("Provision"), who, done).body).value(
        "Policies", "Policy", "PolicyKey"
    )
    assert final not in ("", key)
    folders = ask(
        front, "POST", there.format("FolderSync"), who, ms_asprotocolversion="14.1", x_ms_policykey=final
    )
    assert read(folders.body).name == "FolderSync"
    assert read(folders.body).value("Status") == "1"
    ping = write(element(PING, "Ping", element(PING, "HeartbeatInterval", "3600")))
    assert ask(front, "POST", there.format("Ping"), who, ping, x_ms_policykey=final).wait == 3540.0


def test_autodiscover_answers_the_signed_in_person_with_internal_names(front: FrontEnd) -> None:
    answer = ask(front, "POST", "/Autodiscover/Autodiscover.xml", f"{ALMA}:{WORD}")
    assert b"emulator01.playground.example/EWS/Exchange.asmx" in answer.body
    assert ALMA.encode() in answer.body


def test_ews_knows_operations_and_refuses_documents_with_a_dtd(front: FrontEnd) -> None:
    soap = f'<s:Envelope xmlns:s="{SOAP}"><s:Body><m:{{0}} xmlns:m="m"/></s:Body></s:Envelope>'
    who = f"{ALMA}:{WORD}"
    assert (
        b"GetFolderResponse"
        in ask(front, "POST", "/ews/exchange.asmx", who, soap.format("GetFolder").encode()).body
    )
    assert ask(front, "POST", "/ews/exchange.asmx", who, soap.format("Nothing").encode()).status == 500
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]>' + soap.format("GetFolder").encode()
    assert ask(front, "POST", "/ews/exchange.asmx", who, bomb).status == 500


def test_the_logs_have_the_fields_of_a_real_server_and_one_line_a_request(tmp_path: Path) -> None:
    logs = ExchangeLogs(tmp_path)
    hostile = Request(
        "GET", "/owa/\r\n2026 evil", "a=b c", {"user-agent": 'x y"\n1'}, person=ALMA, source="192.0.2.7"
    )
    for _ in range(2):
        logs.write(hostile, Response(200), "id", 1795510800.0, 0.5)
    iis = (tmp_path / "inetpub/logs/LogFiles/W3SVC1/u_ex261124.log").read_text().splitlines()
    assert iis[3] == f"#Fields: {W3C}"
    assert len(iis) == 6
    assert all(len(line.split(" ")) == len(W3C.split(" ")) for line in iis[4:])
    proxy = next((tmp_path / "Logging/HttpProxy/Owa").iterdir()).read_text().splitlines()
    assert proxy[4] == f"#Fields: {PROXY}"
    assert len(proxy) == 7
