"""A backup is taken while people read mail; the machine is lost; the backup is restored; they read on."""

from __future__ import annotations

import contextlib
import imaplib
import json
import stat
import zipfile
from pathlib import Path

import pytest

from peers.clients import Login, enrol_certificate, mailbox
from peers.gambeson import Gambeson

ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"


def refused(login: Login) -> bool:
    with contextlib.suppress(imaplib.IMAP4.error), mailbox(login):
        return False
    return True


def test_backup_restore_and_log_in(tmp_path: Path) -> None:
    saved = tmp_path / "saved.zip"
    with Gambeson(tmp_path / "data") as first:
        secret = first.enrol(ALMA)
        certificate = enrol_certificate(first, BRUNO, tmp_path / "certificate")
        gone = first.json("device", "enrol", ALMA, "--name", "Revoked before")
        first.run("device", "revoke", gone["device"])
        with mailbox(Login(first, ALMA, secret)) as open_session:
            assert first.json("backup", str(saved))["keys"] is True
            open_session.noop()  # nobody was disturbed
        later = first.json("device", "enrol", ALMA, "--name", "After the backup")["secret"]
        assert not refused(Login(first, ALMA, later))
        assert first.run("restore", str(saved), "--force", check=False).returncode == 2  # it runs
        assert first.stop() == 0
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    nothing = tmp_path / "nothing.zip"
    for words, code in ((("restore", str(saved)), 2), (("restore", str(nothing), "--force"), 3)):
        done = first.run(*words, check=False)
        assert done.returncode == code, done
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr

    # Another machine: nothing there but the file.
    other = Gambeson(tmp_path / "other")
    assert json.loads(other.run("restore", str(saved), "--json").stdout)["keys"] is True
    with other:
        with mailbox(Login(other, ALMA, secret)) as client:
            assert client.state == "SELECTED"
        client = imaplib.IMAP4_SSL(
            "127.0.0.1", other.port("imaps"), ssl_context=Login(other, BRUNO, "", certificate).tls
        )
        assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
        client.logout()
        assert refused(Login(other, ALMA, gone["secret"]))
        assert refused(Login(other, ALMA, later))  # enrolled after the backup: not in it
        assert other.run("audit", "verify", check=False).returncode == 0

    # In the place of what is there, which is kept aside.
    done = json.loads(first.run("restore", str(saved), "--force", "--json").stdout)
    assert Path(done["aside"]).is_dir()
    with first:
        with mailbox(Login(first, ALMA, secret)):
            pass
        assert refused(Login(first, ALMA, later))


@pytest.mark.parametrize("damage", ["cut off", "flipped", "not a backup"])
def test_a_damaged_backup_changes_nothing(tmp_path: Path, damage: str) -> None:
    saved = tmp_path / "saved.zip"
    with Gambeson(tmp_path / "data") as gambeson:
        secret = gambeson.enrol(ALMA)
        gambeson.run("backup", str(saved))
    octets = bytearray(saved.read_bytes())
    if damage == "cut off":
        octets = octets[: len(octets) // 2]
    elif damage == "flipped":
        with zipfile.ZipFile(saved) as archive:
            largest = max(archive.infolist(), key=lambda each: each.compress_size)
        octets[largest.header_offset + 30 + len(largest.filename) + largest.compress_size // 2] ^= 0xFF
    else:
        octets = bytearray(b"PK\x03\x04 and nothing more")
    saved.write_bytes(octets)
    done = gambeson.run("restore", str(saved), "--force", check=False)
    assert done.returncode == 2, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    with gambeson, mailbox(Login(gambeson, ALMA, secret)):
        pass
