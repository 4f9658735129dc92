"""As in production: started as root with a settings file, every process a user of its own, and the service's files.

The rights are those of examples/systemd/gambeson.service, set with setpriv: what the unit allows must be enough.
"""

from __future__ import annotations

import imaplib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwuid

import pytest

from peers.dovecot import Dovecot, missing
from peers.gambeson import Gambeson
from peers.pki import Pki
from peers.system_users import open_folder, system_users

SYSTEMD = Path(__file__).resolve().parents[2] / "examples" / "systemd"
UNIT = (SYSTEMD / "gambeson.service").read_text()
ANNA = "anna@example.org"

USER_OF = {"console": "worker", "portal": "console"}  # the others are called like their role

# Who owns what once mail was read. Everything else in the data directory would be a surprise.
OWNERS = [
    (r"", "root", 0o710),
    (r"store/(control|events)\.db(-wal|-shm)?", "gambeson-worker", 0o600),
    (r"(servers|sites)\.json|instance|portal-browsers\.key", "root", 0o600),
    (r"(store|snapshots|spool|throttle)", "gambeson-worker", 0o700),
    (r"snapshots/\d+\.snap", "gambeson-worker", 0o600),
    (r"spool/.+\.spool", "gambeson-worker", 0o600),
    (r"throttle/.+", "gambeson-worker", 0o600),
    (r"(keeper|tls|backups|run)", "root", 0o700),
    (r"keeper/(keys\.sealed|master\.key)", "root", 0o600),
    (r"tls/(device-authority|token-key|directory)\.pem", "root", 0o600),
    (r"run/(up\.lock|ready\.json)", "root", 0o600),
    (r"run/(worker|keeper)\.sock", "root", 0o600),
]


@pytest.fixture(scope="module")
def production() -> Iterator[tuple[Gambeson, Path]]:
    if os.geteuid() != 0:
        pytest.skip("only root can become other users")
    if missing():
        pytest.skip(missing())
    with (
        open_folder() as folder,
        system_users(),
        Dovecot(users={ANNA: "x"}, masters={"gate": "master-secret"}) as server,
    ):
        pki = Pki(folder / "pki")
        ours = pki.issue("mail.example.org", "localhost", "127.0.0.1")
        (folder / "master").write_text("master-secret\n")
        (folder / "master").chmod(0o600)
        settings = f"""
[tls]
certificate = "{ours.certificate}"
key = "{ours.key}"
[doors]
hostname = "mail.example.org"
[[server]]
name = "main"
imap = "imaps://127.0.0.1:{server.ports["imaps"]}"
sign_in = "master"
master_login = "gate"
master_password = "file:{folder / "master"}"
ca = "{server.ca}"
"""
        with Gambeson(folder / "data", config=settings) as gambeson:
            gambeson.json("org", "add", "Example", "--domain", "example.org")
            gambeson.json("account", "add", ANNA)
            yield gambeson, pki.ca


def login(gambeson: Gambeson, ca: Path, secret: str) -> str:
    import ssl

    context = ssl.create_default_context(cafile=str(ca))
    with imaplib.IMAP4_SSL("localhost", gambeson.port("imaps"), ssl_context=context) as door:
        return str(door.login(ANNA, secret)[0])


def test_every_process_is_its_own_user_without_any_right(production: tuple[Gambeson, Path]) -> None:
    gambeson, ca = production
    assert login(gambeson, ca, gambeson.enrol(ANNA, doors="imap")) == "OK"
    children = gambeson.children()
    assert set(children) == {"doors", "keeper", "worker", "console"}
    for role, pid in children.items():
        status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M))
        assert getpwuid(int(status["Uid"].split()[0])).pw_name == f"gambeson-{USER_OF.get(role, role)}"
        assert len(set(status["Uid"].split())) == 1
        assert status["Groups"].strip() == ""
        assert {int(status[cap], 16) for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"


def test_files_belong_to_whom_the_documentation_says(production: tuple[Gambeson, Path]) -> None:
    gambeson, _ = production
    for path in (gambeson.data, *gambeson.data.rglob("*")):
        name = "" if path == gambeson.data else str(path.relative_to(gambeson.data))
        found = path.lstat()
        fits = [(o, m) for pattern, o, m in OWNERS if re.fullmatch(pattern, name)]
        assert fits, f"{name} is not in the documentation"
        owner, mode = getpwuid(found.st_uid).pw_name, stat.S_IMODE(found.st_mode)
        assert (owner, oct(mode)) == (fits[0][0], oct(fits[0][1])), name


def test_the_doctor_finds_nothing_failed_but_the_short_certificate(production: tuple[Gambeson, Path]) -> None:
    import json

    gambeson, _ = production
    done = gambeson.run("doctor", "--json", check=False)
    failed = [c for c in json.loads(done.stdout)["checks"] if c["state"] == "failed"]
    assert [c["name"] for c in failed] == ["certificate"], failed  # the test authority's live for a week


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_the_rights_of_the_unit_are_enough(production: tuple[Gambeson, Path]) -> None:
    """Stopped, and started again with the unit's rights only: the same data, the same login, a clean stop."""
    gambeson, ca = production
    secret = gambeson.enrol(ANNA, name="Laptop", doors="imap")
    assert gambeson.stop() == 0
    (listed,) = re.findall(r"^CapabilityBoundingSet=(.+)$", UNIT, re.M)
    rights = ",".join("+" + word.removeprefix("CAP_").lower() for word in listed.split())
    assert gambeson.config is not None
    command = ["setpriv", "--no-new-privs", "--inh-caps=-all", f"--bounding-set=-all,{rights}"]
    gambeson.prefix = tuple(command)
    gambeson.start()
    assert login(gambeson, ca, secret) == "OK"
    assert gambeson.json("account", "list")["accounts"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    program = tmp_path / "gambeson"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "gambeson.service"
    unit.write_text(UNIT.replace("/opt/gambeson/gambeson", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd is not installed")
def test_users_and_folder_are_made_in_a_root_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    root = f"--root={tmp_path}"
    made = subprocess.run(
        ["systemd-sysusers", root, str(SYSTEMD / "sysusers.d" / "gambeson.conf")],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    passwd = (tmp_path / "etc" / "passwd").read_text()
    assert re.findall(r"^gambeson-\w+:.*:(\S+)$", passwd, re.M) == ["/usr/sbin/nologin"] * 4
    if os.geteuid() != 0 or not shutil.which("systemd-tmpfiles"):
        return
    subprocess.run(
        ["systemd-tmpfiles", root, "--create", str(SYSTEMD / "tmpfiles.d" / "gambeson.conf")], check=True
    )
    data = (tmp_path / "var" / "lib" / "gambeson").stat()
    worker = re.search(r"^gambeson-worker:x:\d+:(\d+):", passwd, re.M)
    assert worker is not None
    assert (data.st_uid, data.st_gid, stat.S_IMODE(data.st_mode)) == (0, int(worker[1]), 0o710)
