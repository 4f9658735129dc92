"""The first hour with Gambeson, as a story on the playground: each test is one thing a person does or sees.

The password is refused; a device is registered, reads and sends; what is taken away is closed within a second.
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.clients import Login, found, imap, mailbox, message, pop3, smtp
from peers.gambeson import Gambeson

ALMA, BRUNO, CHIARA = (f"{name}@playground.example" for name in ("alma", "bruno", "chiara"))
ENROL = "https://enrol.playground.example/device"


@pytest.fixture(scope="module")
def gambeson(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("first-hour") / "data") as running:
        running.run("org", "set", "playground", "--enrolment-url", ENROL)
        yield running


@pytest.fixture(scope="module")
def alma(gambeson: Gambeson) -> Login:
    """The registered device that ``up`` prints."""
    return Login(gambeson, ALMA, gambeson.secret)


def enrolled(gambeson: Gambeson, address: str, *more: str, name: str = "") -> tuple[Login, str]:
    """A new device; its login and id."""
    name = name or f"Device {time.monotonic_ns()}"
    doors = () if "--doors" in more else ("--doors", "imap,pop3,submission,sieve")
    given = gambeson.json("device", "enrol", address, "--name", name, *doors, *more)
    return Login(gambeson, address, given["secret"]), given["device"]


def password_of(gambeson: Gambeson, address: str) -> str:
    accounts = gambeson.ready["playground"]["accounts"]
    return str(next(each["password"] for each in accounts if each["address"] == address))


class Idle:
    """A session that IDLEs, by hand: imaplib has none."""

    def __init__(self, login: Login, idle: bool = True) -> None:
        raw = socket.create_connection(("127.0.0.1", login.port("imaps")), 10)
        self.connection = login.tls.wrap_socket(raw, server_hostname="localhost")
        self.reader = self.connection.makefile("rb")
        self.reader.readline()
        assert self.say("a", f'LOGIN "{login.name}" "{login.secret}"').startswith(b"a OK")
        assert self.say("b", "SELECT INBOX").startswith(b"b OK")
        if idle:
            self.connection.sendall(b"c IDLE\r\n")
            assert self.reader.readline().startswith(b"+")

    def say(self, tag: str, command: str) -> bytes:
        self.connection.sendall(f"{tag} {command}\r\n".encode())
        while not (line := self.reader.readline()).startswith(tag.encode()):
            assert line, "the connection ended"
        return line

    def ends(self) -> tuple[list[bytes], float]:
        """What it still says, and how long it lives."""
        began = time.monotonic()
        lines = []
        with contextlib.suppress(ssl.SSLError, ConnectionResetError):
            lines = list(self.reader)
        return lines, time.monotonic() - began


def closed_within_a_second(session: Idle, act: list[str], gambeson: Gambeson) -> None:
    """Runs the command; when it returns 0 every door has acknowledged, and the session ends within a second."""
    assert gambeson.run(*act).returncode == 0
    lines, seconds = session.ends()
    assert lines, "closed without a word"
    assert lines[-1].startswith(b"* BYE "), lines
    assert seconds < 1


# -- the password


def test_a_mail_program_with_the_password_is_refused_and_told_what_to_do(gambeson: Gambeson) -> None:
    client = imap(Login(gambeson, ALMA, ""))
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(ALMA, password_of(gambeson, ALMA))
    alerts = client.untagged_responses.get("NO", [])
    said = b" ".join(alerts) + b" ".join(client.untagged_responses.get("ALERT", []))
    assert ENROL.encode() in said, client.untagged_responses
    assert "ALERT" in client.untagged_responses, client.untagged_responses
    client.logout()


def test_pop3_and_submission_refuse_it_too_and_say_the_same(gambeson: Gambeson) -> None:
    login = Login(gambeson, ALMA, "")
    mail = pop3(login)
    mail.user(ALMA)
    with pytest.raises(Exception, match=re.escape(ENROL)):
        mail.pass_(password_of(gambeson, ALMA))
    with smtp(login) as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.login(ALMA, password_of(gambeson, ALMA))
    assert refused.value.smtp_code == 535
    assert refused.value.smtp_error.startswith(b"5.7.")
    assert ENROL.encode() in refused.value.smtp_error


def test_the_right_the_wrong_and_nobodys_password_are_answered_alike(gambeson: Gambeson) -> None:
    answers = set()
    for name, password in (
        (ALMA, password_of(gambeson, ALMA)),
        (ALMA, "not the password"),
        ("nobody@playground.example", "whatever"),
    ):
        client = imap(Login(gambeson, name, ""))
        try:
            client.login(name, password)
            pytest.fail("a password alone got in")
        except imaplib.IMAP4.error as error:
            answers.add((str(error), str(client.untagged_responses)))
        client.logout()
    assert len(answers) == 1


def test_nobody_signs_in_before_tls(gambeson: Gambeson) -> None:
    plain = imaplib.IMAP4("127.0.0.1", gambeson.port("imap"), timeout=10)
    assert "LOGINDISABLED" in plain.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        plain.login(ALMA, gambeson.secret)
    plain.logout()


# -- a device


def test_a_registered_device_reads_and_sends(alma: Login) -> None:
    with mailbox(alma) as client:
        assert int(client.search(None, "ALL")[1][0].split()[-1]) >= 3
    text, subject = message(BRUNO, ALMA, "Soup on Friday, söup!")
    with smtp(alma) as client:
        client.login(ALMA, alma.secret)
        assert client.sendmail(ALMA, [BRUNO], text.encode()) == {}
    bruno, _ = enrolled(alma.gambeson, BRUNO)
    assert "söup".encode() in found(bruno, subject)


def test_a_new_device_is_in_at_once_by_its_alias_too(gambeson: Gambeson) -> None:
    login, _ = enrolled(gambeson, ALMA)
    with mailbox(Login(gambeson, "office@playground.example", login.secret)) as client:
        assert client.state == "SELECTED"
    with mailbox(login) as client:
        assert client.state == "SELECTED"
    # The alias belongs to Alma: with another's secret it is nobody.
    other, _ = enrolled(gambeson, BRUNO)
    with (
        pytest.raises(imaplib.IMAP4.error),
        mailbox(Login(gambeson, "office@playground.example", other.secret)),
    ):
        pass


def test_a_device_opens_only_its_own_doors(gambeson: Gambeson) -> None:
    login, _ = enrolled(gambeson, ALMA, "--doors", "imap")
    with mailbox(login):
        pass
    with smtp(login) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(ALMA, login.secret)
    mail = pop3(login)
    mail.user(ALMA)
    with pytest.raises(Exception, match="-ERR"):
        mail.pass_(login.secret)


def test_the_devices_last_use_is_known(gambeson: Gambeson) -> None:
    login, device = enrolled(gambeson, CHIARA)
    with mailbox(login):
        pass
    end = time.monotonic() + 10
    while True:
        listed = {each["id"]: each for each in gambeson.json("device", "list", CHIARA)["devices"]}
        if listed[device]["last_used"]:
            break
        assert time.monotonic() < end, listed[device]
        time.sleep(0.2)
    assert listed[device]["last_source"] == "127.0.0.1"


# -- taking it away


@pytest.mark.parametrize(
    ("word", "idle"), [("revoke", True), ("revoke", False), ("lost", True), ("block", False)]
)
def test_a_device_taken_away_is_out_within_a_second(gambeson: Gambeson, word: str, idle: bool) -> None:
    login, device = enrolled(gambeson, ALMA)
    session = Idle(login, idle)
    closed_within_a_second(session, ["device", word, device], gambeson)
    with pytest.raises(imaplib.IMAP4.error), mailbox(login):
        pass


def test_a_revoked_device_is_out_at_the_other_doors_too(gambeson: Gambeson) -> None:
    login, device = enrolled(gambeson, ALMA)
    mail = pop3(login)
    mail.user(ALMA)
    mail.pass_(login.secret)
    sending = smtp(login)
    sending.login(ALMA, login.secret)
    gambeson.run("device", "revoke", device)
    time.sleep(1)
    with pytest.raises(Exception, match=r"(?i)EOF|closed|reset|-ERR"):
        mail.stat()
    with contextlib.suppress(smtplib.SMTPServerDisconnected):
        assert sending.docmd("NOOP")[0] == 421


def test_a_disabled_account_is_out_and_comes_back(gambeson: Gambeson) -> None:
    login, _ = enrolled(gambeson, CHIARA)
    session = Idle(login)
    closed_within_a_second(session, ["account", "disable", CHIARA], gambeson)
    with pytest.raises(imaplib.IMAP4.error), mailbox(login):
        pass
    gambeson.run("account", "enable", CHIARA)
    with mailbox(login):
        pass


def test_sessions_are_listed_and_killed_and_may_come_back(gambeson: Gambeson) -> None:
    login, device = enrolled(gambeson, BRUNO)
    first, second = Idle(login), Idle(login)
    mine = [each for each in gambeson.json("session", "list")["sessions"] if each["device"] == device]
    assert len(mine) == 2
    assert {each["door"] for each in mine} == {"imap"}
    assert {(each["account"], each["source"]) for each in mine} == {(BRUNO, "127.0.0.1")}
    closed_within_a_second(first, ["session", "kill", sorted(mine, key=lambda s: s["id"])[0]["id"]], gambeson)
    assert gambeson.json("session", "kill", "--device", device)["closed"] == 1
    lines, seconds = second.ends()
    assert lines[-1].startswith(b"* BYE")
    assert seconds < 1
    with mailbox(login):
        pass


# -- quarantine


def test_a_quarantined_device_is_answered_and_not_served(gambeson: Gambeson) -> None:
    """Bruno's new tablet waits for approval. Its secret is right, so it hears what it waits for."""
    listed = gambeson.json("device", "list", BRUNO)["devices"]
    tablet = next(each for each in listed if each["name"] == "Bruno's new tablet")
    assert tablet["state"] == "quarantined"
    login, device = enrolled(gambeson, BRUNO)
    with mailbox(login):
        pass
    quarantine(gambeson, device)
    client = imap(login)
    with pytest.raises(imaplib.IMAP4.error) as refused:
        client.login(login.name, login.secret)
    client.logout()
    assert "password alone" not in str(refused.value)
    gambeson.run("device", "approve", device)
    with mailbox(login):
        pass


def quarantine(gambeson: Gambeson, device: str) -> None:
    """Puts a device into quarantine the way the store does it; nobody is told until the worker's next snapshot."""
    from gambeson.app.installation import opened
    from gambeson.model.asset import DeviceState
    from gambeson.settings import Config

    with opened(gambeson.data, Config()) as place:
        organisation = place.store.organisation("playground")
        organisation.devices.set_state(
            device, DeviceState.QUARANTINED, reason="test", by="test", at=time.time()
        )
        place.tell()


# -- machines


def test_a_machine_is_bound_to_its_network_and_its_senders(gambeson: Gambeson) -> None:
    machine = ["--machine", "--owner", "Alma", "--review", "90d", "--sender", "office@playground.example"]
    machine += ["--doors", "submission"]
    here, _ = enrolled(gambeson, ALMA, *machine, "--network", "127.0.0.0/8")
    elsewhere, _ = enrolled(gambeson, ALMA, *machine, "--network", "192.0.2.0/24")
    with smtp(elsewhere) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(ALMA, elsewhere.secret)
    text, _ = message(BRUNO, "office@playground.example", "Scan")
    with smtp(here) as client:
        client.login(ALMA, here.secret)
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail(ALMA, [BRUNO], message(BRUNO, ALMA)[0])
        assert refused.value.smtp_code == 553 or refused.value.smtp_error.startswith(b"5.7.1")
        assert client.sendmail("office@playground.example", [BRUNO], text) == {}
    with pytest.raises(imaplib.IMAP4.error), mailbox(here):
        pass
    machines = gambeson.json("device", "list", "--machines")["devices"]
    assert {each["owner"] for each in machines} == {"Alma"}
    assert all(each["review"] for each in machines)


def test_a_machines_messages_an_hour_are_limited(gambeson: Gambeson) -> None:
    login, _ = enrolled(
        gambeson, CHIARA, "--machine", "--owner", "Alma", "--review", "90d", "--network", "127.0.0.0/8",
        "--sender", CHIARA, "--hourly-limit", "2", "--doors", "submission",
    )  # fmt: skip
    with smtp(login) as client:
        client.login(CHIARA, login.secret)
        for _ in range(2):
            client.sendmail(CHIARA, [CHIARA], message(CHIARA, CHIARA)[0])
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            client.sendmail(CHIARA, [CHIARA], message(CHIARA, CHIARA)[0])
    assert 400 <= refused.value.smtp_code < 500


# -- sending in another's name


@pytest.mark.parametrize("starttls", [False, True], ids=["submissions", "submission"])
def test_nobody_sends_in_anothers_name(alma: Login, starttls: bool) -> None:
    with smtp(alma, starttls=starttls) as client:
        client.login(ALMA, alma.secret)
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(BRUNO, [CHIARA], message(CHIARA, BRUNO)[0])
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(ALMA, [CHIARA], message(CHIARA, BRUNO)[0])
        assert refused.value.smtp_code // 100 == 5
    with smtp(alma, starttls=starttls) as client:
        client.login(ALMA, alma.secret)
        alias = "office@playground.example"
        assert client.sendmail(alias, [CHIARA], message(CHIARA, alias)[0]) == {}


# -- the command line


def test_what_is_wrong_is_one_sentence_and_changes_nothing(gambeson: Gambeson) -> None:
    before = gambeson.run("device", "list", "--json").stdout
    for words, code in (
        (["device", "enrol", "nobody@playground.example", "--name", "X"], 2),
        (["device", "enrol", ALMA, "--name", "X", "--doors", "imap,moon"], 2),
        (["device", "enrol", ALMA, "--name", "X", "--expires", "yesterday"], 2),
        (["device", "revoke", "dev-none"], 2),
        (["account", "add", "not an address"], 2),
        (["account", "add", "someone@elsewhere.example"], 2),
        (["session", "kill"], 2),
    ):
        done = gambeson.run(*words, check=False)
        assert done.returncode == code, (words, done)
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert gambeson.run("device", "list", "--json").stdout == before


def test_the_health_page_is_there(gambeson: Gambeson) -> None:
    from urllib.request import urlopen

    with urlopen(f"{gambeson.ready['console']}/health", context=gambeson.tls, timeout=10) as page:
        assert page.status == 200
        assert b'"state": "ok"' in page.read()


def test_no_secret_is_in_the_events_or_on_the_terminal(gambeson: Gambeson, alma: Login) -> None:
    login, _ = enrolled(gambeson, ALMA)
    with mailbox(login):
        pass
    time.sleep(1)
    secret = login.secret.rpartition("-")[2].encode()
    for path in Path(gambeson.data).rglob("*"):
        if path.is_file() and path.stat().st_size < 50_000_000:
            assert secret not in path.read_bytes(), path
    assert login.secret not in json.dumps(gambeson.json("device", "list"))
