"""DESIGN.md section 3, sentence by sentence, with real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import process_world as sample
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates
from process_up import HERE, LOGIN, SRC, Up, quietly, until, whole

from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.keeper_client import AdminKeeper, verify_head
from gambeson.process.messages import (
    Health,
    HealthAsk,
    KillAsk,
    Killed,
    PublishAsk,
    Published,
    Sessions,
    SessionsAsk,
)


@pytest.fixture
def up(tmp_path):
    made = []

    def start(**told):
        made.append(Up(tmp_path / "data", **told))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_up_serves_publishes_records_and_stops(up, loop):
    one = up(loop=loop).ready()
    assert (one.data / "run" / "ready.json").stat().st_mode & 0o777 == 0o600
    talk = one.talk()
    assert talk.say("hello")["number"] >= 1
    assert talk.say(LOGIN)["mechanism"] == "OAUTHBEARER"
    assert whole(one)
    listed = one.worker(SessionsAsk(), Sessions)
    assert [s.account for s in listed.sessions] == ["a1"]
    assert listed.missing == ()
    health = one.worker(HealthAsk(), Health)
    assert (health.problem, len(health.followers)) == ("", 3)
    until(lambda: {e[1] for e in one.events()} >= {"door.login.allowed", "keeper.credential.given"})
    began = time.monotonic()
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(12) == 0
    assert time.monotonic() - began < 10
    assert talk.rest().startswith(b"* BYE")
    assert sorted(p.name for p in (one.data / "run").iterdir()) == ["up.lock"]
    assert "Traceback" not in one.said()


def test_a_revocation_returns_when_every_door_has_closed_its_sessions(up):
    one = up().ready()
    until(lambda: quietly(lambda: whole(one)))
    talk = one.talk()
    assert "mechanism" in talk.say(LOGIN)
    one.revoke("c1")
    began = time.monotonic()
    published = one.worker(PublishAsk(), Published)
    assert time.monotonic() - began < 1.0
    assert published.missing == ()
    talk.sock.settimeout(0.2)  # the session is closed already, not soon
    assert talk.rest() == b"* BYE\r\n"
    assert one.talk().say(LOGIN) == {"refused": "revoked"}


def test_a_door_that_hangs_is_named_as_missing_within_a_second(up):
    one = up().ready()
    until(lambda: quietly(lambda: whole(one)))
    os.kill(one.children()["doors"][0], signal.SIGSTOP)
    began = time.monotonic()
    published = one.worker(PublishAsk(), Published)
    assert 0.9 < time.monotonic() - began < 1.6
    assert len(published.missing) == 1
    assert published.missing[0].startswith("doors.1.")


def test_sessions_can_be_killed(up):
    one = up().ready()
    talk = one.talk()
    talk.say(LOGIN)
    assert one.worker(KillAsk(account="a1"), Killed).count == 1
    assert talk.rest() == b"* BYE\r\n"
    with pytest.raises(ChannelRefused, match="which session"):
        one.worker(KillAsk(), Killed)


@pytest.mark.parametrize("role", ["doors", "keeper", "worker", "console"])
def test_the_crash_of_one_never_stops_the_others(up, role):
    one = up(doors=2).ready()
    talk = one.talk()
    mine = talk.say("hello")["pid"]
    assert "mechanism" in talk.say(LOGIN)
    before = one.children()
    victim = next(p for p in before[role] if p != mine)
    os.kill(victim, signal.SIGKILL)
    assert "mechanism" in talk.say(LOGIN)  # at once: even the keeper's successor answers in time
    until(
        lambda: (
            victim not in one.children().get(role, [])
            and len(one.children().get(role, [])) == len(before[role])
        )
    )
    until(lambda: quietly(lambda: whole(one)))
    now = one.children()
    assert {r: p for r, p in now.items() if r != role} == {r: p for r, p in before.items() if r != role}
    assert "mechanism" in one.talk().say(LOGIN)
    until(lambda: [e[1] for e in one.events()].count("door.login.allowed") == 3)
    ids = [e[0] for e in one.events()]
    assert len(ids) == len(set(ids))
    assert one.process.poll() is None
    assert "it is started again, the others go on" in one.said()


def test_events_written_while_the_worker_is_dead_are_taken_once_later(up):
    one = up().ready()
    talk = one.talk()
    for _ in range(5):
        talk.say(LOGIN)
        quietly(lambda: os.kill(one.children()["worker"][0], signal.SIGKILL))
    until(lambda: [e[1] for e in one.events()].count("door.login.allowed") == 5, 20)
    ids = [e[0] for e in one.events()]
    assert len(ids) == len(set(ids))


def test_reload_new_doors_start_old_ones_end_with_their_last_session(up):
    one = up().ready()
    old = one.talk()
    first = old.say("hello")
    old.say(LOGIN)
    one.tell(v=2)
    one.process.send_signal(signal.SIGHUP)
    seen, deadline = [], time.monotonic() + 30
    while seen[-20:] != [2] * 20:  # in the end nobody new reaches an old door; never is anyone turned away
        seen.append(one.talk().say("hello")["v"])
        assert time.monotonic() < deadline
    until(lambda: quietly(lambda: "mechanism" in one.talk().say(LOGIN)), 20)
    assert old.say("hello")["pid"] == first["pid"]
    assert "mechanism" in old.say(LOGIN)
    until(lambda: quietly(lambda: one.worker(SessionsAsk(), Sessions).missing) == ())
    old.say("bye")
    until(lambda: not Path(f"/proc/{first['pid']}").exists())
    until(lambda: len(one.children()["doors"]) == 2)
    until(lambda: quietly(lambda: whole(one)))


def test_a_draining_door_still_closes_what_is_revoked_and_ends_at_its_time(up):
    one = up(drain=2.0, doors=1).ready()
    old = one.talk()
    pid = old.say("hello")["pid"]
    one.process.send_signal(signal.SIGHUP)
    until(lambda: quietly(lambda: one.talk().say("hello")["pid"] != pid), 20)
    assert old.say("hello")["pid"] == pid
    assert old.rest() == b"* BYE\r\n"
    until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("wrong", [{"broken": True}, {"break_doors": True}])
def test_a_bad_reload_changes_nothing_and_says_so(up, wrong):
    one = up().ready()
    before = one.children()["doors"]
    one.tell(**wrong)
    one.process.send_signal(signal.SIGHUP)
    one_of = "line 3 of the config" if "broken" in wrong else "the certificate /x cannot be read"
    until(lambda: one_of in one.said(), 25)
    until(lambda: one.children()["doors"] == before, 25)
    assert one.talk().say("hello")["v"] == 1


def test_when_the_supervisor_is_killed_nobody_is_left(up):
    one = up().ready()
    pids = [p for group in one.children().values() for p in group]
    assert len(pids) == 5
    one.process.kill()
    one.process.wait()
    until(lambda: not any(Path(f"/proc/{p}").exists() for p in pids), 5)


def test_a_second_up_on_the_same_data_is_one_sentence(up):
    one = up().ready()
    plan = one.data.parent / "plan.json"
    second = subprocess.run(
        [sys.executable, str(HERE / "up_main.py"), str(plan)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"already runs on {one.data} (process {one.process.pid})" in second.stderr
    assert "mechanism" in one.talk().say(LOGIN)


def test_an_address_in_use_is_one_sentence(up):
    with socket.create_server(("127.0.0.1", 0)) as other:
        one = up(port=other.getsockname()[1])
        assert one.process.wait(10) == 3
    assert one.said().count("\n") == 1
    assert "another program listens there" in one.said()


def test_a_child_that_cannot_be_born_stops_the_start_with_its_sentence(up):
    one = up(break_doors=True)
    assert one.process.wait(20) == 2
    assert "the certificate /x cannot be read" in one.said()
    assert "Traceback" not in one.said()


def test_a_wrong_key_stops_the_start_with_one_sentence(up, tmp_path):
    data = tmp_path / "data"
    first = up()
    first.ready()
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(12) == 0
    (data / "keeper" / "master.key").write_text("00" * 32)
    again = subprocess.run(
        [sys.executable, str(HERE / "up_main.py"), str(tmp_path / "plan.json")],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "sealed with another key" in again.stderr


def test_a_child_that_always_dies_is_reported_once_and_tried_on(up, tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import sys\nsys.exit(7)\n")
    one = up(main=str(bad), doors=1)
    until(lambda: one.said().count("failed 3 times in a row (exit status 7)") >= 3)
    time.sleep(2.5)
    assert one.said().count("doors.1.0 failed") == 1
    assert one.process.poll() is None


def test_the_command_line_reaches_the_keeper_and_no_stranger_does(up):
    one = up().ready()
    admin = AdminKeeper(one.data / "run" / "keeper.sock")
    keys = admin.public_keys()
    assert verify_head(keys.audit_pem, b"head", admin.sign(b"head"))
    hashed = admin.hash_password("correct horse")
    assert hashed.startswith("$argon2id$")
    assert admin.check_password("correct horse", hashed)
    assert not admin.check_password("wrong horse", hashed)
    assert "BEGIN X509 CRL" in admin.revocation_list()
    assert len(admin.secret_verifier(sample.ADA.text)) == 32
    assert admin.seal(b"x", "y").startswith(b"GS1")
    for legacy in (False, True):
        issued = admin.issue_certificate(
            "c7", "Phone", "ada@sample.example", password="long enough", legacy=legacy
        )
        _, certificate, (authority,) = load_key_and_certificates(issued.pkcs12, b"long enough")
        certificate.verify_directly_issued_by(authority)
        assert sample.fingerprint(certificate.public_bytes(Encoding.DER)) == issued.fingerprint
    for name in ("keeper.sock", "worker.sock"):
        assert (one.data / "run" / name).stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        code = (
            "import os,socket,sys;s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET);"
            "fd=os.open(sys.argv[1],os.O_PATH);os.setresuid(65534,65534,65534);"
            "s.connect('/proc/self/fd/%d'%fd);s.settimeout(3);sys.exit(0 if s.recv(9)==b'' else 1)"
        )
        sock = one.data / "run" / "keeper.sock"
        sock.chmod(0o666)  # even where the mode is lost, the kernel's word on who connects decides
        assert subprocess.run([sys.executable, "-c", code, str(sock)]).returncode == 0


def test_nobody_running_is_one_sentence(tmp_path):
    with pytest.raises(ChannelGone, match="gambeson up"):
        AdminKeeper(tmp_path / "keeper.sock").public_keys()
