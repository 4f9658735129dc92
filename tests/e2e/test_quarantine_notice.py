"""A device in quarantine asks for mail: answered, not served; its owner and the administrator are told, once a day."""

from __future__ import annotations

import email
import email.policy
import imaplib
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gambeson.model.asset import DeviceState
from gambeson.process.worker_client import AdminWorker
from gambeson.store.control import Store
from peers.gambeson import Gambeson

ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"
SUBJECT = "A device waits for approval: Bruno phone"


@pytest.fixture(scope="module")
def running() -> Iterator[Gambeson]:
    """In a folder that the users which root's processes drop to can pass through."""
    with tempfile.TemporaryDirectory(prefix="gambeson-quarantine-") as folder:
        Path(folder).chmod(0o755)
        with Gambeson(Path(folder) / "data") as gambeson:
            yield gambeson


@pytest.fixture(scope="module")
def waiting(running: Gambeson) -> tuple[str, str]:
    """Bruno's phone, enrolled and then put into quarantine: its id and secret."""
    made = running.json("device", "enrol", BRUNO, "--name", "Bruno phone", "--doors", "imap,submission")
    with Store.open(f"sqlite:///{running.data / 'store' / 'control.db'}", migrate=False) as store:
        devices = store.organisation("playground").devices
        device = next(d for d in devices.list() if d.name == "Bruno phone")
        devices.set_state(device.id, DeviceState.QUARANTINED, by="test", at=time.time())
    AdminWorker(running.data / "run" / "worker.sock").publish(5.0)
    return device.id, str(made["secret"])


def imap(gambeson: Gambeson) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL("localhost", gambeson.port("imaps"), ssl_context=gambeson.tls, timeout=20)


def mail(gambeson: Gambeson, person: str, secret: str) -> list[Any]:
    client = imap(gambeson)
    client.login(person, secret)
    client.select("INBOX", readonly=True)
    numbers = client.search(None, "ALL")[1][0].split()
    found = [client.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]
    client.logout()
    parsed = [email.message_from_bytes(raw, policy=email.policy.default) for raw in found]
    return [m for m in parsed if m["Subject"] == SUBJECT]


def until(condition: Callable[[], Any], seconds: float = 25.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)
    return value


def open_findings(gambeson: Gambeson, rule: str) -> list[Any]:
    listed = json.loads(gambeson.run("finding", "list", "--json", check=False).stdout)
    return [f for f in listed["findings"] if f["rule"] == rule]


def test_the_owner_and_the_administrator_are_told_once(running: Gambeson, waiting: tuple[str, str]) -> None:
    device, secret = waiting
    with pytest.raises(imaplib.IMAP4.error, match="waits for approval"):
        imap(running).login(BRUNO, secret)
    (to_admin,) = until(lambda: mail(running, ALMA, running.secret))
    assert to_admin["Auto-Submitted"] == "auto-generated"
    assert to_admin["Return-Path"] == "<>"
    assert f"gambeson device approve {device}" in to_admin.get_content()
    for _ in range(3):
        with pytest.raises(imaplib.IMAP4.error):
            imap(running).login(BRUNO, secret)
    own = running.enrol(BRUNO, "Another")
    (to_owner,) = until(lambda: mail(running, BRUNO, own))
    text = to_owner.get_content()
    assert "Is it yours?" in text
    assert device not in text
    assert "://" not in text
    time.sleep(11)  # two more rounds
    assert len(mail(running, BRUNO, own)) == 1
    assert len(mail(running, ALMA, running.secret)) == 1


def test_the_worker_killed_after_sending_sends_nothing_twice(
    running: Gambeson, waiting: tuple[str, str]
) -> None:
    worker = running.children()["worker"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: running.children().get("worker") not in (None, worker))
    with pytest.raises(imaplib.IMAP4.error):
        imap(running).login(BRUNO, waiting[1])
    time.sleep(11)
    assert len(mail(running, ALMA, running.secret)) == 1


def test_a_password_or_a_wrong_secret_makes_no_mail(running: Gambeson, waiting: tuple[str, str]) -> None:
    made = running.enrol("chiara@playground.example", "Chiara phone")
    accounts = {a["address"]: a["password"] for a in running.ready["playground"]["accounts"]}
    for password in (accounts["chiara@playground.example"], made[:-1] + ("x" if made[-1] != "x" else "y")):
        with pytest.raises(imaplib.IMAP4.error):
            imap(running).login("chiara@playground.example", password)
    with Store.open(f"sqlite:///{running.data / 'store' / 'control.db'}", migrate=False) as store:
        jobs = store.organisation("playground").jobs.list()
    assert {j.payload["device"] for j in jobs if j.kind == "notice.quarantined"} == {waiting[0]}  # type: ignore[index]


def test_it_is_a_finding_until_somebody_decides(running: Gambeson, waiting: tuple[str, str]) -> None:
    (finding,) = until(lambda: open_findings(running, "device.quarantined"))
    assert finding["asset"] == {"kind": "device", "name": f"{BRUNO}/Bruno phone"}
    assert finding["severity"] == "medium"
    listed = running.json("device", "list", BRUNO)["devices"]
    assert next(d["state"] for d in listed if d["id"] == waiting[0]) == "quarantined"
    assert running.run("finding", "list", "--fail-on", "medium", check=False).returncode == 1
    assert running.run("finding", "list", check=False).returncode == 0
    assert running.json("finding", "show", finding["id"])["id"] == finding["id"]
    assert running.run("finding", "waive", finding["id"], "--reason", "x", check=False).returncode == 2
    waived = running.json(
        "finding", "waive", finding["id"], "--reason", "he is on leave", "--owner", "Alma", "--until", "7d"
    )
    assert waived["state"] == "waived"
    assert "Alma" in waived["closing"]
    assert running.run("finding", "list", "--fail-on", "medium", check=False).returncode == 0
    running.run("device", "approve", waiting[0])
    closed = until(
        lambda: [
            f
            for f in running.json("finding", "list", "--all")["findings"]
            if f["id"] == finding["id"] and f["state"] == "verified"
        ]
    )
    assert "measured" in closed[0]["closing"]


def test_the_letterbox_is_no_side_door(running: Gambeson) -> None:
    """Whoever has another user than the worker is cut off (where root runs this, that is us); where all have one
    user, nothing but a null sender is taken, and that for the sample people only."""
    instance = (running.data / "instance").read_text()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(f"\0gambeson-playground-{instance}-notices")
        if os.geteuid() == 0:
            assert sock.recv(100) == b""
            return
        file = sock.makefile("rwb", buffering=0)
        assert file.readline().startswith(b"220")
        for command, answer in (
            (b"LHLO x", b"250"),
            (b"MAIL FROM:<a@evil.example>", b"550"),
            (b"MAIL FROM:<>", b"250"),
            (b"RCPT TO:<somebody@elsewhere.example>", b"550"),
            (b"RCPT TO:<bruno@playground.example>", b"250"),
            (b"RCPT TO:<alma@playground.example>", b"452"),
        ):
            file.write(command + b"\r\n")
            while (line := file.readline())[3:4] == b"-":
                pass
            assert line.startswith(answer), (command, line)


def test_a_notice_can_not_go_through_a_door(running: Gambeson, tmp_path: Path) -> None:
    from gambeson.guard.core.notice import Notice, compose
    from gambeson.guard.edge.notice_delivery import Fate, NoticePlan, deliver
    from gambeson.model.access import DoorKind
    from gambeson.model.server import Endpoint, UpstreamTls

    notice = Notice("n", "d", "Phone", BRUNO, BRUNO, False, "imap", "192.0.2.1", "", time.time())
    message = compose(notice, "", "playground")
    for listener, tls in (("submission", UpstreamTls.STARTTLS), ("submissions", UpstreamTls.IMPLICIT)):
        port = running.port(listener)
        plan = NoticePlan(
            endpoint=Endpoint(DoorKind.SUBMISSION, "localhost", port, tls=tls),
            authorities=Path(running.ca).read_text(),
        )
        outcome = deliver(plan, BRUNO, message)
        assert outcome.fate is Fate.REFUSED, outcome
        assert outcome.text.startswith("530 ")
