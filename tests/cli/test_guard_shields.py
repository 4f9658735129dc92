"""``gambeson guard shields`` as a person runs it."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gambeson import cli
from gambeson.guard.core.walk_shields import Measured
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.edge.walk.keeping import SHIELDS_FILE, keep_shields, kept_shields
from peers.gambeson import Gambeson

LINE = {
    "time": "2021-02-21T10:00:00Z",
    "method": "POST",
    "host": "m",
    "path": "/ecp/y.js",
    "source": "192.0.2.1",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("shields") / "data") as gambeson:
        yield gambeson


def log(path: Path, *lines: object) -> str:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(path)


def test_the_list_says_what_was_measured(running: Gambeson, capsys: pytest.CaptureFixture[str]) -> None:
    for one in running.json("guard", "shields")["shields"]:
        assert (one["effective"], one["measured"], one["door"]) == (None, None, "not-tried")
        assert one["fixed"]
        assert one["used"] == (one["product"] == "exchange")
    at = 1_800_000_000.0
    keep_shields(
        running.data,
        [Measured("proxylogon", "held", "closed", at), Measured("proxyshell", "held", "reached", at)],
    )
    assert cli.main(["guard", "shields", "--data", str(running.data)]) == 1
    text = capsys.readouterr().out
    assert "no: past the door" in text
    assert "CVE-2021-26855" in text
    keep_shields(running.data, [Measured("proxyshell", "held", "closed", at + 1)])
    shown = {one["id"]: one for one in running.json("guard", "shields")["shields"]}
    assert shown["proxylogon"]["effective"] is True
    assert shown["proxyshell"]["effective"] is True
    assert shown["proxyshell"]["measured"].startswith("2027-01-15")
    assert shown["proxytoken"]["effective"] is None
    (running.data / SHIELDS_FILE).write_text("[{}")
    assert kept_shields(running.data) == []


def test_a_log_of_before_it_was_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(
        tmp_path / "log", LINE, LINE | {"time": 1614900000, "admitted": False}, {**LINE, "path": "/owa/"}
    )
    assert cli.main(["guard", "shields", "--replay", file]) == 0
    text = capsys.readouterr().out
    assert "9 days before disclosure, from 192.0.2.1, reached the mail server: no, 0 of 2" in text


def test_one_that_came_through_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "log", LINE | {"admitted": True})
    assert cli.main(["guard", "shields", "--replay", file, "--json"]) == 1
    hits = {hit["shield"]: hit for hit in json.loads(capsys.readouterr().out)["hits"]}
    assert (hits["proxylogon"]["reached"], hits["proxylogon"]["days_before_disclosure"]) == (1, 9)


def test_lines_that_are_no_requests_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "log", LINE, "what?", {})
    assert cli.main(["guard", "shields", "--replay", file, "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["unreadable"] == 2


def test_no_such_file_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["guard", "shields", "--replay", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_what_the_doors_turned_away_is_replayed(running: Gambeson) -> None:
    context = ssl.create_default_context(cafile=running.ca)
    ask = b"GET /owa/auth/x.js HTTP/1.1\r\nHost: mail.localhost\r\nCookie: X-AnonResource=true\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", running.port("https")), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="mail.localhost") as client,
    ):
        client.sendall(ask)
        assert client.recv(4096).split()[1] in (b"403", b"404")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done = running.run("guard", "shields", "--replay", "--json", check=False)
        found = json.loads(done.stdout)
        if found["hits"]:
            break
        time.sleep(0.3)
    hit = next(hit for hit in found["hits"] if hit["shield"] == "proxylogon")
    assert (hit["reached"], found["source"]) == (0, "store")
    assert hit["days_before_disclosure"] < 0


def test_every_shield_has_a_probe_that_a_walk_can_send() -> None:
    for shield in load_shields().shields:
        assert shield.probe.target.startswith("/"), shield.id
