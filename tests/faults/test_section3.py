"""The processes of one machine, sentence by sentence (docs/process.md names the test for each)."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from faults.hands import (
    ALMA,
    DOORS,
    Line,
    events,
    eventually,
    health,
    kill,
    open_door,
    open_files,
    session,
    sign_in,
    status,
    stopped,
)
from peers.gambeson import SOURCE, Gambeson

ROOT = os.geteuid() == 0
ROLES = {"doors", "keeper", "worker", "portal", "console", "playground"}


def ended(line: Line) -> bool:
    """Reads to the end of the stream."""
    try:
        while line.line() is not None:
            pass
    except (ConnectionError, ssl.SSLError):
        return True
    return False


def by_certificate(g: Gambeson, pem: str) -> None:
    """In at a door by EXTERNAL, the certificate alone."""
    context = g.tls
    context.load_cert_chain(pem)
    line = Line(g.port("imaps"))
    line.tls(context)
    line.until(rb"\* OK")
    line.send(b"a AUTHENTICATE EXTERNAL =")
    assert line.until(b"a ").startswith(b"a OK")
    line.close()


def device_id(g: Gambeson, name: str) -> str:
    return next(d["id"] for d in g.json("device", "list")["devices"] if d["name"] == name)


@pytest.mark.skipif(not ROOT, reason="only root may look into processes that are not dumpable")
def test_doors_keeper_and_portal_hold_no_database_open(playground: Gambeson) -> None:
    for listener in DOORS:
        assert sign_in(playground, listener, ALMA, playground.secret) == "in"
    children = playground.children()
    assert set(children) == ROLES
    databases = {r: [f for f in open_files(p) if ".db" in f] for r, p in children.items()}
    assert databases.pop("worker")  # the test can see them
    assert databases.pop("console")
    assert databases == {"doors": [], "keeper": [], "portal": [], "playground": []}


@pytest.mark.skipif(not ROOT, reason="only root may look into processes that are not dumpable")
def test_doors_and_keeper_have_only_what_they_were_given(playground: Gambeson) -> None:
    """Besides sockets and pipes a door holds its log, its own spool segment, and nothing else that has a path."""
    for role in ("doors", "keeper"):
        files = [f for f in open_files(playground.children()[role]) if f.startswith("/")]
        own = [f for f in files if f != "/dev/null" and f != str(playground.log)]
        assert len(own) == 1, own
        assert re.search(rf"/spool/{role}[^/]*\.spool$", own[0])


@pytest.mark.skipif(not ROOT, reason="only root has rights to give up")
@pytest.mark.parametrize("role", sorted(ROLES))
def test_started_as_root_every_process_has_given_everything_up(playground: Gambeson, role: str) -> None:
    now = status(playground.children()[role])
    assert set(now["Uid"].split()) == set(now["Gid"].split()) != {"0"}
    assert now["Groups"] == ""
    assert {int(now[c], 16) for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert now["NoNewPrivs"] == "1"


@pytest.mark.skipif(not ROOT, reason="needs root to become somebody else")
def test_the_dropped_user_can_read_neither_data_nor_certificate_keys(playground: Gambeson) -> None:
    uid = int(status(playground.children()["doors"])["Uid"].split()[0])
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        closed = 0
        for path in (
            playground.data,
            playground.data / "tls" / "key.pem",
            playground.data / "store" / "control.db",
        ):
            try:
                os.listdir(path) if path.is_dir() else path.read_bytes()
            except PermissionError:
                closed += 1
        os._exit(closed)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


@pytest.mark.parametrize("role", sorted(ROLES))
def test_no_process_can_be_looked_into_and_none_can_gain_rights(playground: Gambeson, role: str) -> None:
    """Without root too: no_new_privs, and not dumpable (then /proc/PID belongs to root)."""
    pid = playground.children()[role]
    assert status(pid)["NoNewPrivs"] == "1"
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0


def test_nothing_was_refused_to_the_sealed_processes(playground: Gambeson) -> None:
    """Every feature in use after the drop: all doors, plain and TLS, refusals, IDN names, certificates' handshakes,
    broken input. Whatever doors and keeper asked of a path or an import then would be in the log."""
    for listener in DOORS:
        assert sign_in(playground, listener, ALMA, playground.secret) == "in"
        assert sign_in(playground, listener, "jürgen@bücher.example", "ganz falsch ß") == "no"
        assert sign_in(playground, listener, "\u202e@xn--a.example", "x") == "no"
        with open_door(playground, listener) as line:
            line.send(b"\xff\xfe{9999999999}\x00" * 100)
            line.sock.recv(100)
    given = playground.json(
        "device", "enrol", ALMA, "--name", "Sealed", "--doors", "imap,submission", "--certificate",
        "--out", str(playground.data.parent),
    )  # fmt: skip
    by_certificate(playground, given["certificate"]["files"]["pem"])
    weak = ssl.create_default_context(cafile=playground.ca)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE")
    with open_door(playground, "imap") as line:
        line.send(b'i ID ("name" "m\xc3\xbctt")')
        line.until(b"i ")
    said = playground.log.read_text()
    assert "after the drop" not in said, said
    assert "Traceback" not in said, said


def test_every_event_is_taken_in_exactly_once(playground: Gambeson) -> None:
    secret = playground.enrol(ALMA, "Counted")
    device = device_id(playground, "Counted")
    for _ in range(20):
        assert sign_in(playground, "imaps", ALMA, secret) == "in"

    def count() -> int:
        found = events(playground, "door.login.allowed", device)
        assert len(found) == len(set(found)) <= 20
        return len(found) == 20

    eventually(count, 5)
    time.sleep(0.5)
    assert count()


def test_a_revocation_returns_when_every_door_has_acted(playground: Gambeson) -> None:
    secret = playground.enrol(ALMA, "Short-lived")
    with session(playground, ALMA, secret) as line:
        line.send(b"b SELECT INBOX")
        line.until(b"b OK")
        line.send(b"c IDLE")
        line.until(rb"\+")
        answer = playground.json("device", "revoke", device_id(playground, "Short-lived"))
        assert any(a.startswith("doors") for a in answer["acknowledged"])
        assert answer["missing"] == []
        line.sock.settimeout(1)  # the goodbye is there already
        assert line.line().startswith(b"* BYE")
    assert sign_in(playground, "imaps", ALMA, secret) == "no"


@pytest.mark.parametrize(
    ("role", "named"), [("doors", "doors.1.0"), ("keeper", "keeper"), ("worker", "worker")]
)
def test_a_revocation_that_one_has_not_heard_says_4_and_its_name(
    playground: Gambeson, role: str, named: str
) -> None:
    secret = playground.enrol(ALMA, f"Unheard by {role}")
    device = device_id(playground, f"Unheard by {role}")
    with session(playground, ALMA, secret) as line:
        with stopped(playground.children()[role]):
            began = time.monotonic()
            done = playground.run("device", "revoke", device, check=False)
            took = time.monotonic() - began
            assert done.returncode == 4
            assert f"Not yet acknowledged by {named}." in done.stdout
            assert took < 6  # a second or two of waiting, and the start of Python on a busy machine
        # it comes into force as soon as the one that stood still goes on
        line.sock.settimeout(15)
        assert line.line().startswith(b"* BYE")
    assert sign_in(playground, "imaps", ALMA, secret) == "no"


@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_end_of_one_never_stops_the_others(make: Callable[..., Gambeson], role: str) -> None:
    g = make()
    before = g.children()
    kill(before[role])
    eventually(lambda: g.children().get(role, before[role]) != before[role], 10)
    after = g.children()
    assert {r: p for r, p in after.items() if r != role} == {r: p for r, p in before.items() if r != role}
    eventually(lambda: sign_in(g, "imaps", ALMA, g.secret) == "in", 10)
    eventually(lambda: health(g)["state"] == "ok", 20)
    assert g.stop() == 0


def test_sigterm_says_goodbye_on_every_door_and_ends_with_0(make: Callable[..., Gambeson]) -> None:
    g = make()
    # a POP3 mailbox is for one session at a time (RFC 1939 section 4)
    signed_in = {d: session(g, ALMA, g.secret, d) for d in DOORS if d != "pop3"}
    waiting = {listener: open_door(g, listener) for listener in DOORS}
    began = time.monotonic()
    assert g.stop() == 0
    assert time.monotonic() - began < 10
    for lines in (signed_in, waiting):
        assert lines["imaps"].line().startswith(b"* BYE")
        assert lines["imap"].line().startswith(b"* BYE")
        assert lines["submissions"].line().startswith(b"421")
        assert lines["submission"].line().startswith(b"421")
    assert waiting["sieve"].line().startswith(b"BYE")
    for line in (*signed_in.values(), *waiting.values()):
        assert ended(line)
        line.close()
    assert not (g.data / "run" / "ready.json").exists()


def test_sigterm_ends_within_ten_seconds_though_nobody_takes_part(make: Callable[..., Gambeson]) -> None:
    """Clients that never read."""
    g = make()
    lines = [session(g, ALMA, g.secret) for _ in range(20)]
    began = time.monotonic()
    assert g.stop(12) == 0
    assert time.monotonic() - began < 10.5
    for line in lines:
        line.close()


@pytest.mark.slow
def test_sigterm_ends_a_door_that_stands_still(make: Callable[..., Gambeson]) -> None:
    g = make()
    os.kill(g.children()["doors"], 19)
    began = time.monotonic()
    assert g.stop(15) == 0
    assert time.monotonic() - began < 11


def test_sighup_brings_new_doors_and_the_old_ones_end_with_their_last_session(
    make: Callable[..., Gambeson],
) -> None:
    g = make()
    old = g.children()["doors"]
    with session(g, ALMA, g.secret) as line:
        line.send(b"b SELECT INBOX")
        line.until(b"b OK")
        line.send(b"c IDLE")
        line.until(rb"\+")
        os.kill(g.process.pid, 1)  # type: ignore[union-attr]
        eventually(lambda: g.children()["doors"] != old or len(g.all_children("doors")) == 2, 15)
        eventually(lambda: len(set(g.all_children("doors")) - {old}) == 1, 15)
        new = (set(g.all_children("doors")) - {old}).pop()
        # nobody is turned away meanwhile
        for _ in range(5):
            assert sign_in(g, "imaps", ALMA, g.secret) == "in"
        time.sleep(1)
        assert old in g.all_children("doors")
        line.send(b"DONE")
        assert line.until(b"c ").startswith(b"c OK")
        line.send(b"d NOOP")
        assert line.until(b"d ").startswith(b"d OK")
        line.send(b"e LOGOUT")
        line.until(b"e OK")
    eventually(lambda: g.all_children("doors") == [new], 15)
    eventually(lambda: health(g)["state"] == "ok", 20)
    assert "nothing was reloaded" not in g.log.read_text()


def test_a_reload_that_cannot_be_leaves_everything_as_it_is(make: Callable[..., Gambeson]) -> None:
    g = make()
    before = g.children()
    certificate = g.data / "tls" / "certificate.pem"
    good = certificate.read_text()
    certificate.write_text("no certificate\n")
    os.kill(g.process.pid, 1)  # type: ignore[union-attr]
    eventually(lambda: "nothing was reloaded" in g.log.read_text(), 20)
    assert g.children()["doors"] == before["doors"]
    assert sign_in(g, "imaps", ALMA, g.secret) == "in"
    certificate.write_text(good)


def test_the_end_of_the_supervisor_ends_its_children(make: Callable[..., Gambeson]) -> None:
    g = make()
    children = g.children()
    kill(g.process.pid)  # type: ignore[union-attr]
    g.process.wait()  # type: ignore[union-attr]
    eventually(lambda: all(not os.path.exists(f"/proc/{p}/stat") for p in children.values()), 5)
    g.start()  # and it comes back where it was
    assert sign_in(g, "imaps", ALMA, g.secret) == "in"


def test_a_second_up_on_the_same_data_is_refused(playground: Gambeson) -> None:
    done = playground.run("up", check=False)
    assert done.returncode == 2
    assert f"already runs on {playground.data} (process {playground.process.pid})" in done.stderr  # type: ignore[union-attr]
    assert len([line for line in done.stderr.splitlines() if line != "Starting ..."]) == 1
    assert sign_in(playground, "imaps", ALMA, playground.secret) == "in"


def test_what_a_sealed_process_asks_for_is_refused_and_logged() -> None:
    """So that an empty log, above, means something."""
    program = (
        "from gambeson.process import child, seal_imports\n"
        "seal_imports.seal(child._logger('doors.1.0'))\n"
        "for name in range(30):\n"
        "    try:\n"
        "        open(f'/etc/{name}\\n')\n"
        "    except PermissionError:\n"
        "        pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 20  # a hijacked process must not fill the disk
    assert lines[0] == "gambeson: doors.1.0: refused after the drop of privileges: open '/etc/0\\n'"
