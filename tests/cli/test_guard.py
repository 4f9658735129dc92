"""``gambeson guard`` as a person runs it, on a playground of its own."""

from __future__ import annotations

import asyncio
import imaplib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Thread

import pytest

from gambeson import cli
from gambeson.model.access import BROWSER_DOORS, DEVICE_DOORS, DoorKind
from guard.edge.walk.broken import Broken
from peers.gambeson import Gambeson

ALMA, BRUNO, CHIARA = (f"{name}@playground.example" for name in ("alma", "bruno", "chiara"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("guard") / "data") as gambeson:
        yield gambeson


def guard(gambeson: Gambeson, *words: str, code: int = 0) -> dict:
    """The document that ``gambeson guard`` answers with, run in this process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        done = cli.main(["guard", *words, "--json", "--data", str(gambeson.data)])
    assert out.getvalue(), err.getvalue()
    found = json.loads(out.getvalue())
    assert done == code, found.get("untried", found)
    return found


def test_explain_says_what_would_happen_and_why(running: Gambeson) -> None:
    alone = guard(running, "explain", "--door", "imap", "--account", ALMA, "--from", "203.0.113.9")
    assert (alone["decision"], alone["rule"], alone["reason"]) == ("challenge", "floor:rung", "rung-too-low")
    assert alone["sentence"].endswith(".")
    with_device = guard(running, "explain", "--door", "imap", "--account", ALMA, "--rung", "device-secret")
    assert with_device["decision"] == "allow"
    assert (with_device["country"], with_device["risk"]) == ("", 0)
    devices = running.json("device", "list", BRUNO)["devices"]
    waiting = next(d["id"] for d in devices if d["state"] == "quarantined")
    shown = guard(
        running,
        "explain",
        "--door",
        "imap",
        "--account",
        BRUNO,
        "--device",
        waiting,
        "--rung",
        "device-secret",
    )
    assert shown["decision"] == "quarantine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("explain", "--door", "cellar", "--account", ALMA), "no door"),
        (("explain", "--door", "imap", "--account", "two words"), "two words"),
        (("explain", "--door", "imap", "--account", ALMA, "--rung", "magic"), "no rung"),
        (("explain", "--door", "imap", "--account", ALMA, "--from", "here"), "no IP address"),
        (("explain", "--door", "imap", "--account", ALMA, "--country", "Germany"), "no country code"),
        (("explain", "--door", "imap", "--account", ALMA, "--risk", "101"), "0 to 100"),
        (("explain", "--door", "imap", "--account", ALMA, "--device", "nope"), "no device"),
        (("mode", "imap"), "observe, warn or enforce"),
        (("mode", "imap", "enforce", "--for", "2d"), "no end"),
        (("mode", "imap", "observe", "--for", "soon"), "no duration"),
        (("mode", "imap", "observe", "--account", "nobody@playground.example"), "no account"),
        (("open", "--for", "2h"), "reason"),
        (("open", "--for", "3d", "--reason", "x"), "24 hours"),
        (("open", "--close", "--for", "2h"), "--close"),
        (("walk", "--target", "somewhere"), "HOST:PORT=LISTENER"),
        (("walk", "--target", "somewhere=https"), "HOST:PORT"),
        (("walk", "--rate", "0"), "--rate"),
        (("walk", "--from", "outside"), "outside"),
        (("export", "dovecot", "--doors-at", "a b"), "no IP address"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(
    running: Gambeson, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = guard(running, "mode")
    assert cli.main(["guard", *words, "--data", str(running.data)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert guard(running, "mode") == before


def test_a_mode_is_set_listed_and_taken_back_within_ten_seconds(running: Gambeson) -> None:
    told = guard(running, "mode", "imap", "observe")
    assert told["missing"] == []
    assert told["acknowledged"]
    assert told["until"]
    [mode] = guard(running, "mode")["modes"]
    assert (mode["door"], mode["mode"], mode["in_force"], mode["account"]) == (
        "imap",
        "observe",
        "observe",
        "",
    )
    assert guard(running, "explain", "--door", "imap", "--account", ALMA)["passes"]
    proof = guard(running, "prove")
    assert proof["good"]
    assert {o["door"] for o in proof["open_by_mode"]} == {"imap"}
    began = time.monotonic()
    assert guard(running, "mode", "imap", "enforce")["missing"] == []
    assert time.monotonic() - began < 10
    assert guard(running, "mode")["modes"] == []
    assert not guard(running, "explain", "--door", "imap", "--account", ALMA)["passes"]


def test_a_mode_for_one_account_and_for_all_doors(running: Gambeson) -> None:
    guard(running, "mode", "all", "warn", "--account", BRUNO, "--for", "3d", "--reason", "his new tablet")
    modes = guard(running, "mode")["modes"]
    assert {(m["door"], m["account"]) for m in modes} == {
        (door.value, BRUNO) for door in (*DEVICE_DOORS, *BROWSER_DOORS)
    }
    assert guard(running, "explain", "--door", "sieve", "--account", BRUNO)["mode"] == "warn"
    assert guard(running, "explain", "--door", "sieve", "--account", ALMA)["mode"] == "enforce"
    guard(running, "mode", "all", "enforce", "--account", BRUNO)
    assert {m["in_force"] for m in guard(running, "mode")["modes"]} == {"enforce"}


def test_the_bypass_is_opened_seen_audited_and_closed(running: Gambeson) -> None:
    told = guard(running, "open", "--for", "2h", "--reason", "the portal is down")
    assert told["open"]
    assert told["missing"] == []
    assert guard(running, "mode")["bypass"]["reason"] == "the portal is down"
    assert guard(running, "prove")["bypass"]
    ready = json.loads(running.run("guard", "ready", "--json", check=False).stdout)
    assert ready["bypass"]["reason"] == "the portal is down"
    assert guard(running, "explain", "--door", "imap", "--account", ALMA)["passes"]
    assert not guard(running, "open", "--close")["open"]
    assert guard(running, "mode")["bypass"] is None
    assert "bypass.opened" in running.run("audit", "show").stdout


def test_ready_counts_who_got_in(running: Gambeson) -> None:
    secret = running.enrol(BRUNO, "Reader")
    client = imaplib.IMAP4_SSL("localhost", running.port("imaps"), ssl_context=running.tls, timeout=20)
    client.login(BRUNO, secret)
    client.logout()
    for _ in range(50):
        done = running.run("guard", "ready", "--since", "1h", "--json", check=False)
        if done.returncode == 0:
            break
        time.sleep(0.2)
    found = json.loads(done.stdout)
    assert found["ready"]
    assert found["logins"] >= 1
    assert found["stopped"] == []


def test_walk_finds_nothing_in_the_playground_and_leaves_nothing_behind(running: Gambeson) -> None:
    before = running.json("device", "list", CHIARA)["devices"]
    factors = running.json("account", "factors", CHIARA)
    found = guard(running, "walk", "--rate", "200")
    assert found["findings"] == []
    assert found["untried"] == []
    assert found["good"]
    assert found["attempts"] > 300
    where = {record["where"] for record in found["records"]}
    assert where >= {"imap", "imaps", "pop3", "pop3s", "submission", "submissions", "sieve"}
    assert {f"playground {door}" for door in ("imap", "pop3", "submission", "sieve")} <= where
    entered = [r for r in found["records"] if r["outcome"] == "entered"]
    assert len(entered) == 9  # the seven mail listeners, and ActiveSync at both of the web's hosts
    assert {"https mail.localhost eas", "https devices.localhost", "https login.localhost"} <= where
    assert {"emulator web"} <= where
    assert all(r["control"] for r in entered)
    assert running.json("device", "list", CHIARA)["devices"] == before
    # The canary signed in at the portal with a passkey, saw OWA's page through the door, and nothing of it is left.
    shields = {one["id"]: one for one in found["shields"]}
    seen = shields["owa-mail-script"]
    assert (seen["door"], seen["answer"], seen["why"], seen["effective"]) == ("held", "observed", "", True)
    assert {one["answer"] for one in shields.values()} == {"observed", "none"}
    (record,) = [r for r in found["records"] if r["tried"] == "shield-answer" and r["door"] == "owa"][:1]
    assert record["said"].endswith("with content-security-policy")
    assert "yes, observed" in running.run("guard", "shields").stdout
    assert running.json("account", "factors", CHIARA) == factors
    assert '"authenticator.removed"' in running.run("audit", "show", "--json").stdout
    assert not [
        one for one in running.json("session", "list", "--portal")["sessions"] if one["address"] == CHIARA
    ]
    # Nobody was locked out: the canary's person still gets in, and so do others.
    secret = running.enrol(CHIARA, "After the walk")
    client = imaplib.IMAP4_SSL("localhost", running.port("imaps"), ssl_context=running.tls, timeout=20)
    client.login(CHIARA, secret)
    client.logout()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_walk_that_is_ended_takes_its_devices_away(running: Gambeson, number: signal.Signals) -> None:
    before = running.json("device", "list", CHIARA)["devices"]
    command = [sys.executable, "-m", "gambeson", "guard", "walk", "--rate", "5", "--data", str(running.data)]

    def as_in_background() -> None:
        """SIGINT is ignored in the background of a script, the others are not, however the tests were started."""
        for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            ignored = each is signal.SIGINT and number is not signal.SIGINT
            signal.signal(each, signal.SIG_IGN if ignored else signal.SIG_DFL)

    walk = subprocess.Popen(
        command,
        env=running.env,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_background,
    )
    try:
        for _ in range(200):
            if len(running.json("device", "list", CHIARA)["devices"]) >= len(before) + 8:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the walk made no devices")
        walk.send_signal(number)
        _, said = walk.communicate(timeout=30)
    finally:
        walk.kill()
    assert running.json("device", "list", CHIARA)["devices"] == before
    assert walk.returncode == (130 if number is signal.SIGINT else 128 + number), said
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_walk_reports_a_planted_way_past_the_doors_and_sees_it_closed(
    running: Gambeson, tmp_path: Path
) -> None:
    server, stop = _careless_server()
    where = f"127.0.0.1:{server.port}"
    canary = tmp_path / "password"
    canary.write_text("sing a song\n")
    words = ("--canary", CHIARA, "--password-file", str(canary), "--rate", "300", "--target", f"{where}=imap")
    found = guard(running, "walk", *words, code=1)
    rules = {f["rule"] for f in found["findings"]}
    assert rules == {"guard.walk.past-the-doors"}
    [finding] = found["findings"]
    assert finding["severity"] == "critical"
    assert finding["asset"] == {"kind": "server", "name": where}
    assert finding["evidence"][0]["source"] == "guard walk"
    assert "sing a song" not in json.dumps(found)
    server.flaws.clear()
    closed = guard(running, "walk", *words)
    assert closed["good"]
    assert "no mail server took the canary's password" in closed["note"]
    assert found["note"] == ""
    stop()
    assert "finding.verified" in running.run("audit", "show").stdout


def _careless_server() -> tuple[Broken, Callable[[], None]]:
    """INSECURE BY DESIGN: an IMAP server that takes the password ``sing a song`` under TLS. Runs in a thread."""
    loop = asyncio.new_event_loop()
    server = Broken(DoorKind.IMAP, "password", name=CHIARA)
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)

    def stop() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)

    return server, stop


def test_export_brings_the_key_along_and_overwrites_nothing(running: Gambeson, tmp_path: Path) -> None:
    out = tmp_path / "recipe"
    written = guard(running, "export", "dovecot", "--out", str(out))["written"]
    [key] = [path for path in written if "/keys/" in path]
    assert Path(key).read_text() == (running.data / "tls" / "token-key.pem").read_text()
    assert running.run("guard", "export", "dovecot", "--out", str(out), check=False).returncode == 2


@pytest.mark.parametrize("recipe", ["dovecot", "dovecot-2.4", "nginx", "postfix", "systemd"])
def test_export_needs_no_installation(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["guard", "export", recipe, "--data", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.startswith("###")


@pytest.mark.parametrize("command", [("prove",), ("ready",), ("mode",), ("walk",)])
def test_without_an_installation_it_says_so(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["guard", *command, "--data", str(tmp_path / "none")]) == 3
    assert "no installation" in capsys.readouterr().err
