"""Before a real Dovecot: an edge hands connections over, notices go in by LMTP, and what is wrong becomes a finding."""

from __future__ import annotations

import imaplib
import json
import os
import pwd
import socket
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gambeson.model.asset import DeviceState
from gambeson.process.worker_client import AdminWorker
from gambeson.store.control import Store
from gambeson.wire.proxyproto import TLV_CERTIFICATE, TLV_TLS_VERSION, build_v2
from interop.sites import USERS, open_folder
from peers.clients import enrol_certificate
from peers.dovecot import Dovecot, program
from peers.gambeson import Gambeson
from peers.people import ACCOUNTS, MASTER

pytestmark = pytest.mark.skipif(program() is None, reason="needs Debian's dovecot")

ANNA = "anna@example.org"


class Site:
    def __init__(self, folder: Path, dovecot: Dovecot, gambeson: Gambeson) -> None:
        self.folder, self.dovecot, self.gambeson = folder, dovecot, gambeson

    def edge(self, fingerprint: str = "", source: str = "203.0.113.9") -> EdgeImap:
        tlvs = [(TLV_TLS_VERSION, b"TLSv1.3")]
        if fingerprint:
            tlvs.append((TLV_CERTIFICATE, fingerprint.encode()))
        header = build_v2(source, 40000, "192.0.2.1", 993, tlvs)
        return EdgeImap(str(self.folder / "edge" / "imap.sock"), header)

    def findings(self) -> dict[str, Any]:
        listed = json.loads(self.gambeson.run("finding", "list", "--json", check=False).stdout)
        return {f["rule"]: f for f in listed["findings"]}

    def login(self, secret: str) -> imaplib.IMAP4_SSL:
        g = self.gambeson
        client = imaplib.IMAP4_SSL("localhost", g.port("imaps"), ssl_context=g.tls, timeout=20)
        client.login(ANNA, secret)
        return client


class EdgeImap(imaplib.IMAP4):
    """imaplib behind an edge: a Unix socket, and the PROXY header before everything."""

    def __init__(self, path: str, header: bytes) -> None:
        self._path, self._proxy_header = path, header
        super().__init__("edge")

    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(self._path)
        sock.sendall(self._proxy_header)
        return sock


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with (
        open_folder("gambeson-edge") as folder,
        Dovecot(
            users=ACCOUNTS, masters=dict([MASTER]), plaintext=True, extra="auth_failure_delay = 0\n"
        ) as dovecot,
    ):
        (folder / "edge").mkdir(mode=0o755)
        (folder / "master").write_text(MASTER[1])
        (folder / "master").chmod(0o600)
        config = USERS if os.geteuid() == 0 else ""
        config += f"""
[doors]
edge_sockets = "{folder}/edge"
edge_user = "{pwd.getpwuid(os.geteuid()).pw_name}"
[notices]
lmtp = "lmtp+plain://127.0.0.1:{dovecot.ports["lmtp"]}"
admins = ["bert@example.org"]
[[server]]
name = "main"
imap = "imap+plain://127.0.0.1:{dovecot.ports["imap"]}"
sign_in = "master"
master_login = "{MASTER[0]}"
master_password = "file:{folder}/master"
"""
        with Gambeson(folder / "data", config=config) as gambeson:
            gambeson.run("org", "add", "example", "--domain", "example.org")
            for address in ACCOUNTS:
                gambeson.run("account", "add", address)
            yield Site(folder, dovecot, gambeson)


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)
    return value


def fingerprint_of(pem: Path) -> str:
    certificate = x509.load_pem_x509_certificate(pem.read_bytes())
    return sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def test_a_certificate_that_the_edge_saw_signs_in_until_it_is_revoked(site: Site) -> None:
    pem = enrol_certificate(site.gambeson, ANNA, site.folder / "certificate", "Laptop")
    fingerprint = fingerprint_of(pem)
    client = site.edge(fingerprint)
    assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
    assert client.select("INBOX")[0] == "OK"
    (session,) = site.gambeson.json("session", "list")["sessions"]
    assert (session["account"], session["source"]) == (ANNA, "203.0.113.9")
    with pytest.raises(imaplib.IMAP4.error):
        site.edge("00" * 32).authenticate("EXTERNAL", lambda _: b"")
    site.gambeson.run("device", "revoke", session["device"])
    assert b"BYE" in until(client.readline)
    with pytest.raises(imaplib.IMAP4.error):
        site.edge(fingerprint).authenticate("EXTERNAL", lambda _: b"")


def test_a_device_secret_works_through_the_edge_and_a_password_does_not(site: Site) -> None:
    secret = site.gambeson.enrol(ANNA, "Through the edge")
    assert site.edge().login(ANNA, secret)[0] == "OK"
    with pytest.raises(imaplib.IMAP4.error):
        site.edge().login(ANNA, ACCOUNTS[ANNA])


def test_the_edges_sockets_are_its_users_and_outlive_a_reload(site: Site) -> None:
    import signal

    names = sorted(path.name for path in (site.folder / "edge").iterdir())
    assert names == ["imap.sock", "pop3.sock", "sieve.sock", "submission.sock"]
    before = site.gambeson.children()
    assert site.gambeson.process is not None
    os.kill(site.gambeson.process.pid, signal.SIGHUP)
    until(lambda: len(now := site.gambeson.children()) == 4 and not set(now.values()) & set(before.values()))
    until(lambda: _answers(site.gambeson))
    secret = site.gambeson.enrol(ANNA, "After the reload")
    assert until(lambda: site.edge().login(ANNA, secret)[0] == "OK")


def test_a_notice_goes_into_dovecot_by_lmtp(site: Site) -> None:
    made = site.gambeson.json("device", "enrol", ANNA, "--name", "Old phone", "--doors", "imap")
    with Store.open(f"sqlite:///{site.gambeson.data / 'store' / 'control.db'}", migrate=False) as store:
        devices = store.organisation("example").devices
        device = next(d for d in devices.list() if d.name == "Old phone")
        devices.set_state(device.id, DeviceState.QUARANTINED, by="test", at=time.time())
    AdminWorker(site.gambeson.data / "run" / "worker.sock").publish(5.0)
    with pytest.raises(imaplib.IMAP4.error, match="approval"):
        site.login(made["secret"])
    reader = site.gambeson.enrol("bert@example.org", "Reader")

    def arrived() -> list[Any]:
        g = site.gambeson
        client = imaplib.IMAP4_SSL("localhost", g.port("imaps"), ssl_context=g.tls, timeout=20)
        client.login("bert@example.org", reader)
        client.select("INBOX")
        found = [client.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in client.search(None, "ALL")[1][0].split()]
        client.logout()
        return [message_from_bytes(raw) for raw in found]

    (notice,) = until(arrived)
    assert notice["Auto-Submitted"] == "auto-generated"
    assert notice["Return-Path"] in ("<>", "<MAILER-DAEMON>")
    assert "device.quarantined" in until(site.findings)


def test_a_mail_server_that_is_away_is_a_finding_until_it_is_back(site: Site) -> None:
    secret = site.gambeson.enrol(ANNA, "Waiting")
    site.dovecot.stop()
    with pytest.raises(imaplib.IMAP4.error):
        site.login(secret)
    finding = until(lambda: site.findings().get("server.unreachable"))
    assert finding["asset"] == {"kind": "server", "name": "main imap"}
    assert site.gambeson.run("finding", "list", check=False).returncode == 1
    site.dovecot.start()
    until(lambda: _good(lambda: site.login(secret)))
    until(lambda: "server.unreachable" not in site.findings())


def test_a_mail_server_that_refuses_our_master_is_a_finding_until_it_takes_it(site: Site) -> None:
    secret = site.gambeson.enrol(ANNA, "Refused")
    masters = site.dovecot.root / "masters"
    good = masters.read_text()
    masters.write_text(good.replace(MASTER[1], "another-password"))
    with pytest.raises(imaplib.IMAP4.error):
        site.login(secret)
    finding = until(lambda: site.findings().get("server.refuses-us"))
    assert (finding["asset"]["name"], finding["severity"]) == ("main", "high")
    masters.write_text(good)
    until(lambda: _good(lambda: site.login(secret)))
    until(lambda: "server.refuses-us" not in site.findings())


def _answers(gambeson: Gambeson) -> bool:
    return gambeson.run("session", "list", check=False).returncode == 0


def _good(call: Callable[[], object]) -> bool:
    try:
        call()
    except imaplib.IMAP4.error:
        return False
    return True
