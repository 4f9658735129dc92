"""Certificate and password together, on whole installations: local passwords on the playground, a directory's (Debian's
slapd) before Dovecot. A password alone moves nobody: neither the keeper's argon2 nor the directory."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import signal
import smtplib
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gambeson.guard.edge.identity.source import Verdict
from guard.edge.identity.asking import check, settings
from peers.clients import Login, enrol_certificate, imap, mailbox, smtp
from peers.dovecot import Dovecot
from peers.gambeson import Gambeson
from peers.people import ACCOUNTS, MASTER
from peers.pki import Pki
from peers.process import wait_until
from peers.slapd import BASE, READER, Slapd

ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"
PASSWORD = "Alma's own password"
ANNA, BERT, CLEO = ACCOUNTS
THRESHOLD = 5


def answer(login: Login, password: str) -> str:
    """What IMAP says to LOGIN with this password, in one text."""
    client = imap(login)
    try:
        client.login(login.name, password)
    except imaplib.IMAP4.error as error:
        return f"{error} {client.untagged_responses}"
    else:
        return "OK"
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            client.logout()


def events(gambeson: Gambeson, *kinds: str) -> list[dict[str, object]]:
    """The recorded events of these kinds, with what each says besides."""
    time.sleep(0.5)  # the worker takes them in every tenth of a second
    query = f"SELECT kind, account, data FROM events WHERE kind IN ({', '.join('?' * len(kinds))}) ORDER BY at, id"
    path = gambeson.data / "store" / "events.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        return [{"kind": k, "account": a, **json.loads(d)} for k, a, d in db.execute(query, kinds)]


def argon2_runs(gambeson: Gambeson) -> int:
    return len(events(gambeson, "keeper.password.right", "keeper.password.wrong"))


# -- local passwords


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("password") / "data") as running:
        running.run("account", "password", ALMA, "--password-file", "-", stdin=PASSWORD + "\n")
        yield running


@pytest.fixture(scope="module")
def laptop(playground: Gambeson) -> Login:
    """Alma's, with a certificate of ours."""
    pem = enrol_certificate(playground, ALMA, playground.data.parent / "alma")
    return Login(playground, ALMA, PASSWORD, pem)


def test_certificate_and_right_password_enter_every_door(playground: Gambeson, laptop: Login) -> None:
    before = argon2_runs(playground)
    with mailbox(laptop) as client:
        assert client.state == "SELECTED"
    with smtp(laptop) as client:
        client.login(ALMA, PASSWORD)
    assert argon2_runs(playground) == before + 2
    assert events(playground, "keeper.password.right")


def test_certificate_and_wrong_password_are_refused(playground: Gambeson, laptop: Login) -> None:
    said = answer(laptop, "a guess")
    assert "AUTHENTICATIONFAILED" in said
    assert "password is wrong" in said
    with smtp(laptop) as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.login(ALMA, "a guess")
    assert refused.value.smtp_code == 535
    assert {e["outcome"] for e in events(playground, "keeper.password.wrong")} == {"wrong"}
    assert {e["failure"] for e in events(playground, "door.login.refused") if e["account"]} == {
        "password-wrong"
    }


def test_an_account_without_a_password_is_told_the_same(playground: Gambeson, laptop: Login) -> None:
    dora = "dora@playground.example"
    playground.run("account", "add", dora)
    pem = enrol_certificate(playground, dora, playground.data.parent / "dora")
    without = Login(playground, dora, "", pem)
    assert answer(without, "anything").replace("dora", "alma") == answer(laptop, "a guess")
    assert events(playground, "keeper.password.wrong")[-2]["outcome"] == "no-password"


def test_without_a_certificate_argon2_never_runs_and_right_and_wrong_are_the_same(
    playground: Gambeson, laptop: Login
) -> None:
    before = argon2_runs(playground), len(events(playground, "keeper.password.refused"))
    alone = replace(laptop, certificate=None)
    answers = {answer(alone, PASSWORD), answer(alone, "a guess")}
    assert len(answers) == 1
    assert "AUTHENTICATIONFAILED" in answers.pop()
    with smtp(alone) as client:
        for password in (PASSWORD, "a guess"):
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login(ALMA, password)
    assert (argon2_runs(playground), len(events(playground, "keeper.password.refused"))) == before


def test_a_changed_password_holds_from_the_commands_end_on(playground: Gambeson, laptop: Login) -> None:
    playground.run("account", "password", ALMA, "--password-file", "-", stdin="another password\n")
    assert "AUTHENTICATIONFAILED" in answer(laptop, PASSWORD)
    assert answer(laptop, "another password") == "OK"
    playground.run("account", "password", ALMA, "--password-file", "-", stdin=PASSWORD + "\n")


def test_a_revoked_certificate_asks_nobody_any_more(playground: Gambeson, laptop: Login) -> None:
    folder = playground.data.parent / "revoked"
    pem = enrol_certificate(playground, ALMA, folder, "Old laptop")
    old = replace(laptop, certificate=pem)
    assert answer(old, PASSWORD) == "OK"
    playground.run("device", "revoke", f"{ALMA}/Old laptop")
    before = argon2_runs(playground)
    assert "AUTHENTICATIONFAILED" in answer(old, PASSWORD)
    assert argon2_runs(playground) == before


def test_no_password_is_in_what_was_recorded_or_stored(playground: Gambeson) -> None:
    for path in playground.data.rglob("*"):
        if path.is_file() and path.suffix in (".db", ".snap", ".db-wal", ".spool", ".state", ".log"):
            assert PASSWORD.encode() not in path.read_bytes(), path


# -- a directory's


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Slapd]:
    """Locks an entry for good after THRESHOLD wrong passwords."""
    certificate = pki.issue("ldap.example.org", "localhost", "127.0.0.1")
    peer = Slapd(tmp_path_factory.mktemp("ldap"), certificate, pki.ca, lockout=THRESHOLD)
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def office(
    tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot, directory: Slapd, pki: Pki
) -> Iterator[Gambeson]:
    """The doors before Dovecot; all accounts have their passwords in the directory."""
    folder = tmp_path_factory.mktemp("office")
    for each in (folder, *folder.parents):  # the users must be able to reach the data directory
        if str(each) == tempfile.gettempdir():
            break
        each.chmod(each.stat().st_mode | 0o711)
    for name, secret in (("reader", READER[1]), ("master", MASTER[1])):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    users = '[users]\ndoors = "nobody"\nkeeper = "daemon"\nworker = "mail"\nconsole = "www-data"\n'
    config = f"""{users if os.geteuid() == 0 else ""}
[[server]]
name = "dovecot"
imap = "imap+plain://127.0.0.1:{dovecot.ports["imap"]}"
sign_in = "master"
master_login = "{MASTER[0]}"
master_password = "file:{folder}/master"

[ldap]
url = ["ldap://localhost:9", "ldaps://localhost:{directory.ports["ldaps"]}"]
ca = "{pki.ca}"
bind_dn = "{READER[0]}"
bind_password = "file:{folder}/reader"
base = "{BASE}"
lockout_threshold = {THRESHOLD}
"""
    with Gambeson(folder / "data", config=config) as running:
        running.run("org", "add", "example", "--domain", "example.org")
        for address in ACCOUNTS:
            running.run("account", "add", address, "--source", "ldap")
        yield running


@pytest.fixture(scope="module")
def people(office: Gambeson) -> dict[str, Login]:
    """Everybody's laptop with a certificate, by address."""
    return {
        address: Login(
            office, address, password, enrol_certificate(office, address, office.data.parent / address)
        )
        for address, password in ACCOUNTS.items()
    }


@pytest.mark.peer("slapd")
def test_the_directory_is_asked_beside_a_certificate_and_never_without(
    office: Gambeson, people: dict[str, Login], directory: Slapd
) -> None:
    before = directory.binds()
    alone = replace(people[CLEO], certificate=None)
    assert answer(alone, ACCOUNTS[CLEO]) == answer(alone, "a guess")
    assert directory.binds() == before
    assert answer(people[CLEO], ACCOUNTS[CLEO]) == "OK"
    assert directory.binds("cleo") == 1
    said = answer(people[CLEO], "a guess")
    assert "AUTHENTICATIONFAILED" in said
    assert "password is wrong" in said
    assert directory.binds("cleo") == 2
    assert answer(people[CLEO], ACCOUNTS[CLEO]) == "OK"  # and the count is nought again
    assert events(office, "door.login.refused")[-1]["failure"] == "password-wrong"
    assert argon2_runs(office) == 0


@pytest.mark.peer("slapd")
def test_the_directorys_password_is_not_set_here(office: Gambeson) -> None:
    done = office.run("account", "password", CLEO, "--password-file", "-", stdin="a new one\n", check=False)
    assert done.returncode == 2
    assert "in the directory" in done.stderr


@pytest.mark.peer("slapd")
def test_a_directory_that_is_down_is_no_fault_of_the_person(
    office: Gambeson, people: dict[str, Login], directory: Slapd
) -> None:
    directory.stop()
    try:
        assert "UNAVAILABLE" in answer(people[CLEO], ACCOUNTS[CLEO])
        assert events(office, "door.login.failed")[-1]["why"] == "password-unavailable"
        assert events(office, "door.directory.trouble")
    finally:
        directory.start()
    assert answer(people[CLEO], ACCOUNTS[CLEO]) == "OK"


@pytest.mark.peer("slapd")
def test_whom_the_directory_has_locked_stays_out(
    office: Gambeson, people: dict[str, Login], directory: Slapd, pki: Pki
) -> None:
    direct = settings(f"ldaps://localhost:{directory.ports['ldaps']}", pki.ca)
    for _ in range(THRESHOLD):
        check(direct, "a guess from elsewhere", BERT)
    assert "AUTHENTICATIONFAILED" in answer(people[BERT], ACCOUNTS[BERT])
    assert events(office, "door.login.refused")[-1]["failure"] == "password-locked"


@pytest.mark.slow
@pytest.mark.peer("slapd")
def test_two_hundred_wrong_passwords_lock_nobody_out_whatever_becomes_of_the_door(
    office: Gambeson, people: dict[str, Login], directory: Slapd, pki: Pki
) -> None:
    before = directory.binds("anna")
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda i: answer(people[ANNA], f"guess {i}"), range(150)))
    seen = directory.binds("anna") - before
    assert 0 < seen <= THRESHOLD - 2
    assert sum("AUTHENTICATIONFAILED" in each for each in said) == seen
    assert sum("UNAVAILABLE" in each for each in said) == 150 - seen
    for send in (_reload, _kill_the_door):
        send(office)
        with ThreadPoolExecutor(20) as pool:
            said = list(pool.map(lambda i: answer(people[ANNA], f"other guess {i}"), range(25)))
        assert all("UNAVAILABLE" in each for each in said)
    assert directory.binds("anna") - before == seen
    direct = settings(f"ldaps://localhost:{directory.ports['ldaps']}", pki.ca)
    assert check(direct, ACCOUNTS[ANNA]) is Verdict.RIGHT  # not locked


def _door(gambeson: Gambeson) -> int:
    return gambeson.children().get("doors", 0)


def _reload(gambeson: Gambeson) -> None:
    before = _door(gambeson)
    assert gambeson.process is not None
    gambeson.process.send_signal(signal.SIGHUP)
    wait_until(lambda: _door(gambeson) not in (0, before), "another door process", 30)
    wait_until(lambda: _serves(gambeson), "a door that serves", 30)


def _kill_the_door(gambeson: Gambeson) -> None:
    before = _door(gambeson)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: _door(gambeson) not in (0, before) and _serves(gambeson), "another door process", 30)


def _serves(gambeson: Gambeson) -> bool:
    try:
        imaplib.IMAP4_SSL("127.0.0.1", gambeson.port("imaps"), ssl_context=gambeson.tls, timeout=5).shutdown()
    except OSError:
        return False
    return True
