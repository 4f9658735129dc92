"""The commands that administer an installation, run as a person runs them: first while it runs, then stopped."""

from __future__ import annotations

import imaplib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from peers.gambeson import Gambeson

ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("administration") / "data") as gambeson:
        yield gambeson


def login(gambeson: Gambeson, address: str, secret: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("localhost", gambeson.port("imaps"), ssl_context=gambeson.tls, timeout=20)
    client.login(address, secret)
    return client


def test_ready_json_is_what_scripts_rely_on(running: Gambeson) -> None:
    ready = running.ready
    listeners = ["imap", "imaps", "pop3", "pop3s", "submission", "submissions", "sieve", "https"]
    ports = [running.first_port + n for n in range(8)]
    assert [ready["doors"][name] for name in listeners] == [f"127.0.0.1:{port}" for port in ports]
    assert ready["console"] == f"https://localhost:{running.first_port + 8}"
    assert ready["admin_link"].startswith(f"{ready['console']}/welcome/")
    assert ready["https_host"] == "mail.localhost"
    assert ready["portal"] == f"https://login.localhost:{running.first_port + 7}"
    accounts = ready["playground"]["accounts"]
    assert len(accounts) == 3
    assert all(set(account) == {"address", "password", "totp"} for account in accounts)
    assert (running.data / "run" / "ready.json").stat().st_mode & 0o777 == 0o600


def test_an_organisation_from_nothing_to_a_device(running: Gambeson) -> None:
    made = running.json("org", "add", "Bakery", "--domain", "bakery.example")
    assert made["domains"] == ["bakery.example"]
    assert made["missing"] == []
    running.run("account", "add", "Ann@Bakery.Example", "--alias", "info@bakery.example", "--group", "shop")
    account = running.json("account", "list", "--org", "bakery")["accounts"][0]
    assert account["address"] == "ann@bakery.example"
    enrolled = running.json("device", "enrol", "info@bakery.example", "--name", "Phone", "--doors", "imap")
    assert enrolled["account"] == "ann@bakery.example"
    assert enrolled["secret"].startswith("gam-")
    devices = running.json("device", "list", "--org", "Bakery")["devices"]
    assert [d["name"] for d in devices] == ["Phone"]
    assert enrolled["secret"] not in json.dumps(devices)
    assert running.run("org", "remove", "Bakery", check=False).returncode == 2
    running.run("org", "remove", "Bakery", "--yes")
    assert "Bakery" not in running.run("org", "list").stdout


def test_revoking_closes_the_session_and_answers_when_every_door_has(running: Gambeson) -> None:
    secret = running.enrol(BRUNO, "Old phone")
    client = login(running, BRUNO, secret)
    listed = running.json("session", "list")["sessions"]
    assert any(s["account"] == BRUNO for s in listed)
    answer = running.json("device", "revoke", f"{BRUNO}/Old phone", "--reason", "sold")
    assert answer["missing"] == []
    assert any(name.startswith("doors") for name in answer["acknowledged"])
    # The session is closed already, with goodbye.
    assert b"BYE" in client.readline()
    with pytest.raises(imaplib.IMAP4.error):
        login(running, BRUNO, secret)


def test_a_quarantined_device_is_let_in_by_approval(running: Gambeson) -> None:
    tablet = next(d for d in running.json("device", "list", BRUNO)["devices"] if d["state"] == "quarantined")
    assert running.json("device", "approve", tablet["id"])["state"] == "registered"
    assert running.json("device", "block", tablet["id"])["state"] == "blocked"


def test_sessions_are_killable_and_may_come_back(running: Gambeson) -> None:
    client = login(running, ALMA, running.secret)
    assert running.json("session", "kill", "--account", ALMA)["closed"] >= 1
    assert b"BYE" in client.readline()
    login(running, ALMA, running.secret).logout()


def test_a_disabled_account_is_out_at_once(running: Gambeson) -> None:
    client = login(running, ALMA, running.secret)
    running.run("account", "disable", ALMA)
    assert b"BYE" in client.readline()
    with pytest.raises(imaplib.IMAP4.error):
        login(running, ALMA, running.secret)
    running.run("account", "enable", ALMA)
    login(running, ALMA, running.secret).logout()


def test_a_policy_is_set_shown_rolled_back_and_a_bad_one_changes_nothing(
    running: Gambeson, tmp_path: Path
) -> None:
    shown = running.json("policy", "show")
    assert shown["default"] is True
    good = tmp_path / "good.toml"
    good.write_text(shown["toml"] + "\n# ours\n")
    assert running.json("policy", "set", str(good), "--note", "first")["version"] == 1
    bad = tmp_path / "bad.toml"
    bad.write_text('[[rule]]\nname = "x"\nopinion = "perhaps"\n')
    failed = running.run("policy", "set", str(bad), check=False)
    assert failed.returncode == 2
    assert "bad.toml line 3" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert running.json("policy", "show")["version"] == 1
    assert running.run("policy", "check", str(bad), check=False).returncode == 2
    running.run("policy", "set", str(good))
    assert running.json("policy", "roll-back", "1")["version"] == 1
    login(running, ALMA, running.secret).logout()
    reset = running.json("policy", "reset")
    assert (reset["version"], reset["missing"]) == (0, [])
    assert running.json("policy", "show") == shown
    assert "policy.reset" in running.run("audit", "show", "--limit", "3").stdout
    assert running.json("policy", "list")["in_force"] == 0


def test_bare_names_do_not_stop_working_unsaid(running: Gambeson) -> None:
    first = running.json("org", "add", "Second", "--domain", "second.example")
    (warning,) = first["warnings"]
    assert "playground.example" in warning
    assert "default_domain" in warning
    assert running.json("org", "domain", "add", "third.example", "--org", "Second")["warnings"] == []
    running.run("org", "remove", "Second", "--yes")
    added = running.run("org", "domain", "add", "more.example")
    assert 'default_domain = "playground.example"' in added.stdout
    assert running.json("org", "domain", "remove", "more.example")["warnings"] == []


def test_a_revocation_list_is_not_written_through_a_link(running: Gambeson, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("list.pem", "list.pem.new"):
        (tmp_path / name).symlink_to(precious)
    running.run("device", "crl", "--out", str(tmp_path / "list.pem"))
    assert precious.read_text() == "mine"
    assert not (tmp_path / "list.pem").is_symlink()
    x509.load_pem_x509_crl((tmp_path / "list.pem").read_bytes())
    assert {path.name for path in tmp_path.iterdir()} == {"precious", "list.pem", "list.pem.new"}


def test_the_revocation_list_remembers_a_removed_organisation(running: Gambeson, tmp_path: Path) -> None:
    running.run("org", "add", "Mill", "--domain", "mill.example")
    running.run("account", "add", "emil@mill.example")
    command = ("device", "enrol", "emil@mill.example", "--name", "Laptop", "--certificate")
    given = running.json(*command, "--out", str(tmp_path))
    file = Path(given["certificate"]["files"]["pem"])
    serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number

    def listed() -> bool:
        crl = x509.load_pem_x509_crl(running.json("device", "crl")["crl"].encode())
        return serial in [entry.serial_number for entry in crl]

    assert not listed()
    running.run("org", "remove", "Mill", "--yes")
    assert listed()
    again = ("device", "adopt", ALMA, "--name", "Taken over", "--certificate", str(file))
    refused = running.run(*again, check=False)
    assert (refused.returncode, "recorded already" in refused.stderr) == (2, True)


def test_a_machine_is_bound_and_has_an_owner(running: Gambeson) -> None:
    bare = running.run("device", "enrol", ALMA, "--name", "Scanner", "--machine", check=False)
    assert bare.returncode == 2
    assert "--network" in bare.stderr
    machine = running.json(
        *("device", "enrol", ALMA, "--name", "Scanner", "--machine", "--doors", "submission"),
        *(
            "--network",
            "192.0.2.0/24",
            "--sender",
            ALMA,
            "--owner",
            "Kim",
            "--review",
            "180d",
            "--hourly-limit",
            "20",
        ),
    )
    assert machine["kind"] == "machine"
    listed = running.json("device", "list", "--machines")["devices"]
    assert [d["name"] for d in listed] == ["Scanner"]
    assert listed[0]["owner"] == "Kim"
    assert listed[0]["review"]
    assert "Kim" in running.run("device", "list", "--machines").stdout


def test_a_revoked_certificate_stands_in_the_revocation_list(running: Gambeson, tmp_path: Path) -> None:
    command = ("device", "enrol", ALMA, "--name", "Old laptop", "--certificate", "--out", str(tmp_path))
    given = running.json(*command)
    serial = x509.load_pem_x509_certificate(
        Path(given["certificate"]["files"]["pem"]).read_bytes()
    ).serial_number
    before = x509.load_pem_x509_crl(running.json("device", "crl")["crl"].encode())
    assert before.get_revoked_certificate_by_serial_number(serial) is None
    running.run("device", "revoke", given["device"])
    running.run("device", "crl", "--out", str(tmp_path / "crl.pem"))
    after = x509.load_pem_x509_crl((tmp_path / "crl.pem").read_bytes())
    assert after.get_revoked_certificate_by_serial_number(serial) is not None


def test_the_revocation_list_remembers_the_certificates_of_removed_accounts(
    running: Gambeson, tmp_path: Path
) -> None:
    cora = "cora@playground.example"
    running.run("account", "add", cora)
    serials = []
    for name in ("Revoked before", "Good until then"):
        folder = tmp_path / name
        folder.mkdir()
        command = ("device", "enrol", cora, "--name", name, "--certificate", "--out", str(folder))
        given = running.json(*command)
        file = Path(given["certificate"]["files"]["pem"])
        serials.append(x509.load_pem_x509_certificate(file.read_bytes()).serial_number)
        if not serials[1:]:
            running.run("device", "revoke", given["device"])

    def listed() -> list[int]:
        crl = x509.load_pem_x509_crl(running.json("device", "crl")["crl"].encode())
        return [entry.serial_number for entry in crl if entry.serial_number in serials]

    assert listed() == serials[:1]
    running.run("account", "remove", cora)
    assert sorted(listed()) == sorted(serials)
    again = ("device", "adopt", ALMA, "--name", "Taken over", "--certificate", str(file))
    refused = running.run(*again, check=False)  # revoked is revoked, whoever brings it
    assert refused.returncode == 2
    assert "recorded already" in refused.stderr
    assert "Taken over" not in running.run("device", "list").stdout


def test_a_certificate_comes_in_files_and_is_not_given_twice(running: Gambeson, tmp_path: Path) -> None:
    command = ("device", "enrol", ALMA, "--name", "Laptop", "--certificate", "--out", str(tmp_path))
    given = running.json(*command)
    files = given["certificate"]["files"]
    assert Path(files["pem"]).stat().st_mode & 0o777 == 0o600
    assert Path(files["pkcs12"]).read_bytes()
    assert len(given["certificate"]["fingerprint"]) == 64
    again = running.run(*command, check=False)
    assert again.returncode == 2


WRONG = {
    "an unknown account": (("device", "enrol", "nobody@playground.example", "--name", "x"), 2, "no account"),
    "an unknown domain": (("account", "add", "x@elsewhere.example"), 2, "elsewhere.example"),
    "no address": (("account", "add", "not an address"), 2, ""),
    "an unknown door": (("device", "enrol", ALMA, "--name", "x", "--doors", "fax"), 2, "fax"),
    "a past end": (("device", "enrol", ALMA, "--name", "x", "--expires", "2020-01-01"), 2, "past"),
    "no date": (("device", "enrol", ALMA, "--name", "x", "--expires", "soon"), 2, "soon"),
    "an unknown device": (("device", "revoke", "dev-nothing"), 2, "dev-nothing"),
    "an unknown organisation": (("account", "list", "--org", "nothing"), 2, "nothing"),
    "an address in use": (("account", "add", ALMA), 2, "alma"),
    "a file that is not there": (("policy", "set", "/nonexistent/policy.toml"), 3, "/nonexistent"),
    "an unknown command": (("account", "explode"), 2, ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_gets_one_sentence_and_changes_nothing(running: Gambeson, case: str) -> None:
    arguments, code, word = WRONG[case]
    before = running.json("audit", "verify")["entries"]
    done = running.run(*arguments, check=False)
    assert done.returncode == code
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert word in done.stderr
    assert running.json("audit", "verify")["entries"] == before


def test_a_stopped_installation_is_administered_too_and_survives_tampering_only_visibly(
    tmp_path: Path,
) -> None:
    gambeson = Gambeson(tmp_path / "data").start()
    secret = gambeson.secret
    backup = tmp_path / "backup.zip"
    gambeson.run("backup", str(backup))
    assert backup.stat().st_mode & 0o777 == 0o600
    assert gambeson.run("restore", str(backup), "--force", check=False).returncode == 2  # it runs
    assert gambeson.stop() == 0

    enrolled = gambeson.json("device", "enrol", ALMA, "--name", "Made while stopped")
    assert enrolled["snapshot"] is None
    assert gambeson.json("audit", "verify")["faults"] == []
    gambeson.start()
    login(gambeson, ALMA, enrolled["secret"]).logout()
    gambeson.stop()

    with sqlite3.connect(gambeson.data / "store" / "control.db") as database:
        database.execute("UPDATE audit SET by = 'somebody else' WHERE seq = 3")
    found = gambeson.run("audit", "verify", "--json", check=False)
    assert found.returncode == 1
    assert [fault["entry"] for fault in json.loads(found.stdout)["faults"]] == [3]

    assert gambeson.run("restore", str(backup), check=False).returncode == 2  # not empty
    done = gambeson.run("restore", str(backup), "--force")
    assert "playground's mail is not in a backup" in done.stdout
    restored = gambeson.json("restore", str(backup), "--force")
    assert Path(restored["aside"]).is_dir()
    assert restored["mail_missing"] is True
    gambeson.start()
    login(gambeson, ALMA, secret).logout()
    assert gambeson.json("audit", "verify")["faults"] == []
    gambeson.stop()
