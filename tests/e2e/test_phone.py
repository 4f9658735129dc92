"""A phone, Outlook's Autodiscover and a Mac through the whole installation, to the Exchange emulator (no Exchange)."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from gambeson.wire.autodiscover import MOBILESYNC, OUTLOOK
from gambeson.wire.soap import MESSAGES, SOAP_11
from peers.eas import Phone, Said, over_https, subjects
from peers.gambeson import Gambeson

ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"
HOST = "mail.localhost"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("phone") / "data") as gambeson:
        yield gambeson


def enrolled(running: Gambeson, name: str, address: str = ALMA) -> tuple[str, str]:
    """A new device's id and secret."""
    given = running.json("device", "enrol", address, "--name", name, "--doors", "eas,ews,autodiscover")
    return given["device"], given["secret"]


def phone(running: Gambeson, secret: str, **more: object) -> Phone:
    send = over_https(HOST, running.port("https"), running.tls, "127.0.0.1")
    return Phone(send, ALMA, secret, **more)  # type: ignore[arg-type]


def ask(running: Gambeson, target: str, body: bytes, *, secret: str = "", agent: str = "") -> Said:
    one = phone(running, secret, agent=agent)
    headers = one._headers() | {"Content-Type": "text/xml; charset=utf-8"}
    if not secret:
        del headers["Authorization"]
    status, found, answer = one.send("POST", target, headers, body)
    found["body"] = answer.decode()
    return Said(status, found)


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "base64"])
def test_a_phone_is_admitted_reads_sends_and_waits(running: Gambeson, coded: bool) -> None:
    _, secret = enrolled(running, f"Phone {coded}")
    mine = phone(running, secret, coded=coded, device_id=f"PHONE{coded}")
    assert "16.1" in mine.options().headers["ms-asprotocolversions"]
    assert mine.folder_sync().inner == "142"
    assert mine.provision().inner == "1"
    assert mine.folder_sync().inner == "1"
    mine.sync()
    _, letters = mine.sync()
    assert "Lunch on Thursday?" in subjects(letters)
    mail = b"From: alma@playground.example\r\nTo: bruno@playground.example\r\nSubject: Hello\r\n\r\nHi.\r\n"
    assert mine.send_mail(mail).status == 200
    assert mine.ping(1).inner == "1"
    seen = running.json("device", "eas", "list", ALMA)["phones"]
    assert f"PHONE{coded}" in [one["device_id"] for one in seen]


def test_the_password_and_nothing_open_nothing(running: Gambeson) -> None:
    assert phone(running, "right horse").options().status == 401
    assert phone(running, "").folder_sync().status == 401


def test_a_revoked_phones_ping_ends_and_it_is_refused_within_a_second(running: Gambeson) -> None:
    device, secret = enrolled(running, "Lost phone")
    mine = phone(running, secret, device_id="LOST1")
    mine.provision()
    mine.folder_sync()
    ended: list[float] = []

    def wait() -> None:
        try:
            mine.ping(60)
        except (OSError, http.client.HTTPException, ssl.SSLError):
            ended.append(time.monotonic())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.5)
    running.json("device", "revoke", device)
    done = time.monotonic()
    waiting.join(10)
    assert ended
    assert ended[0] <= done + 1.0
    assert phone(running, secret, device_id="LOST1").folder_sync().status == 401


def test_a_phone_in_quarantine_settles_and_reads_after_approval(running: Gambeson) -> None:
    device, secret = enrolled(running, "New phone")
    running.json("device", "quarantine", device)
    mine = phone(running, secret, device_id="NEW1")
    assert mine.folder_sync().inner == "142"
    assert mine.provision().inner == "1"
    assert mine.folder_sync().inner == "129"
    running.json("device", "approve", device)
    mine.provision()
    assert mine.folder_sync().inner == "1"


def test_a_blocked_device_id_is_shut_out_of_its_account(running: Gambeson) -> None:
    _, secret = enrolled(running, "Old phone")
    mine = phone(running, secret, device_id="OLD1")
    assert mine.provision().inner == "1"
    running.json("device", "eas", "block", ALMA, "old1")
    assert mine.folder_sync().inner == "129"


def test_autodiscover_for_everybody_and_for_a_device(running: Gambeson) -> None:
    _, secret = enrolled(running, "Outlook")
    there = f"https://{HOST}:{running.port('https')}"

    def pox(schema: str, address: str = ALMA) -> bytes:
        return (
            f"<Autodiscover><Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}"
            "</AcceptableResponseSchema></Request></Autodiscover>"
        ).encode()

    target = "/autodiscover/autodiscover.xml"
    known = ask(running, target, pox(MOBILESYNC))
    nobody = ask(running, target, pox(MOBILESYNC, "nobody@playground.example"))
    assert known.headers["body"].replace(ALMA, "") == nobody.headers["body"].replace(
        "nobody@playground.example", ""
    )
    assert f"{there}/Microsoft-Server-ActiveSync" in known.headers["body"]
    assert ask(running, target, pox(OUTLOOK)).status == 401
    mine = ask(running, target, pox(OUTLOOK), secret=secret)
    assert mine.status == 200
    assert "emulator01" not in json.dumps(mine.headers).lower()
    assert f"{there}/EWS/Exchange.asmx" in mine.headers["body"]
    one = phone(running, "")
    status, _, body = one.send(
        "GET",
        f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={ALMA.replace('@', '%40')}",
        {},
        b"",
    )
    assert status == 200
    assert f"<port>{running.port('imaps')}</port>".encode() in body


def test_a_mac_may_read_and_nobody_may_export(running: Gambeson) -> None:
    _, secret = enrolled(running, "Mac")

    def ews(operation: str, agent: str) -> int:
        body = (
            f'<s:Envelope xmlns:s="{SOAP_11}" xmlns:m="{MESSAGES}"><s:Body><m:{operation}/></s:Body></s:Envelope>'
        ).encode()
        return ask(running, "/EWS/Exchange.asmx", body, secret=secret, agent=agent).status

    mac, outlook = "AppleExchangeWebServices/814 exchangesyncd/116", "MapiHttpClient"
    assert ews("FindItem", mac) == 200
    assert ews("GetMailTips", outlook) == 200
    assert ews("FindItem", outlook) == 403
    assert ews("ExportItems", mac) == 403
    assert ews("FindItem", "Outlook-iOS-Android/1.0") == 403
