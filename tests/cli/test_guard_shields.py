"""``gambeson guard shields`` as a person runs it."""

from __future__ import annotations

import json
import os
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
from gambeson.model.event import REQUEST, Event
from gambeson.store.control import Store
from peers.gambeson import Gambeson
from peers.system_users import open_folder

USERS = '[users]\ndoors = "nobody"\nkeeper = "daemon"\nworker = "mail"\nconsole = "www-data"\n'

DISCLOSED = 1614679200.0  # ProxyLogon: noon of 2 March 2021, less two hours

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


def planted(data: Path, *requests: tuple[float, str, str, str]) -> None:
    """Each is: days before ProxyLogon was disclosed, method, target, verdict."""
    with Store.open(f"sqlite:///{data}/store/control.db", migrate=True) as store:
        store.events.append(
            [
                Event(
                    f"doors/1/{number:x}",
                    DISCLOSED - days * 86400,
                    REQUEST,
                    account="a1" if verdict != "answered" else "",
                    source=f"192.0.2.{number}",
                    data={
                        "method": method,
                        "target": target,
                        "verdict": verdict,
                        "product": "exchange",
                        **({"claimed": "alma@example.org"} if verdict != "answered" else {}),
                    },
                )
                for number, (days, method, target, verdict) in enumerate(requests, 1)
            ]
        )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "store").mkdir(parents=True)
    (folder / "gambeson.toml").write_text('[doors]\nrequest_log = "all"\n')
    with Store.open(f"sqlite:///{folder}/store/control.db", migrate=True) as store:
        store.create_organisation("Example", domains=["example.org"], by="root", at=1.0)
    return folder


ORDINARY = tuple((days, "GET", f"/owa/?id={days}", "forwarded") for days in range(20))


def test_a_planted_history_nine_days_before_disclosure(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted(data, *ORDINARY, (9, "POST", "/ecp/y.js", "answered"), (3, "POST", "/ecp/y.js", "answered"))
    assert cli.main(["guard", "shields", "--replay", "--since", "2021-01-01", "--data", str(data)]) == 0
    text = capsys.readouterr().out
    assert "9 days before disclosure, from 192.0.2.21, reached the mail server: no, 0 of 2" in text
    assert "22 requests: 1 shields knew some." in text
    assert "request_log" not in text


def test_a_planted_history_of_one_that_came_through(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted(data, *ORDINARY, (9, "POST", "/ecp/y.js", "forwarded"), (3, "POST", "/ecp/y.js", "answered"))
    args = ["guard", "shields", "--replay", "--since", "2021-01-01", "--data", str(data)]
    assert cli.main(args) == 1
    text = capsys.readouterr().out
    assert "from 192.0.2.21 by alma@example.org, reached the mail server: yes, 1 of 2" in text
    assert cli.main([*args, "--json"]) == 1
    (hit,) = json.loads(capsys.readouterr().out)["hits"]
    assert (hit["shield"], hit["days_before_disclosure"], hit["first_reached"]) == ("proxylogon", 9, True)
    assert (hit["account"], hit["requests"], hit["reached"], hit["unknown"]) == ("alma@example.org", 2, 1, 0)
    assert (hit["since"], hit["days_before_use"]) == ("2021-01-03", -49)


def test_a_planted_history_that_does_not_tell(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted(data, (9, "POST", "/ecp/y.js", "sent"))
    assert cli.main(["guard", "shields", "--replay", "--since", "2021-01-01", "--data", str(data)]) == 4
    assert "reached the mail server: not known, 1 of 1" in capsys.readouterr().out
    assert cli.main(["guard", "shields", "--replay", "--since", "2021-03-01", "--data", str(data)]) == 4
    assert "0 requests: no shield knew any." in capsys.readouterr().out


def test_the_doors_log_every_request_where_the_settings_say_so() -> None:
    config = (USERS if os.geteuid() == 0 else "") + (
        '[doors]\nrequest_log = "all"\n[portal]\nhost = "login.localhost"\n'
        '[[site]]\nname = "mail"\nproduct = "exchange"\nhosts = ["mail.localhost"]\n'
        'address = "http+plain://127.0.0.1:9"\n'
    )
    with open_folder() as folder, Gambeson(folder / "data", config=config) as gambeson:
        gambeson.run("org", "add", "Example", "--domain", "example.org")
        answers = [
            ask(gambeson, "GET /owa/?code=s3cret HTTP/1.1", "User-Agent: Mozilla"),
            ask(gambeson, "POST /ecp/y.js?token=s3cret HTTP/1.1", "Cookie: X-BEResource=s3cret"),
            ask(gambeson, "GET /ecp/%2e%2e/y HTTP/1.1"),
        ]
        end = time.monotonic() + 20
        while time.monotonic() < end:
            done = gambeson.run("guard", "shields", "--replay", "--json", check=False)
            found = json.loads(done.stdout)
            if found["requests"] >= len(answers):
                break
            time.sleep(0.3)
        with Store.open(f"sqlite:///{gambeson.data}/store/control.db") as store:
            lines = [json.loads(line.data) for line in store.requests.lines()]
    assert found["requests"] == 3  # each once, though refusals are events of their own, too
    hits = [(hit["shield"], hit["requests"], hit["reached"]) for hit in found["hits"]]
    assert hits == [("proxylogon", 1, 0)]
    assert [line["status"] for line in lines] == answers
    assert [line["verdict"] for line in lines] == ["answered"] * 3
    assert "s3cret" not in str(lines)


def ask(gambeson: Gambeson, line: str, *headers: str) -> int:
    """Ask mail.localhost; the status."""
    head = "\r\n".join([line, "Host: mail.localhost", *headers, "Content-Length: 0", "", ""])
    context = ssl.create_default_context(cafile=gambeson.ca)
    with (
        socket.create_connection(("127.0.0.1", gambeson.port("https")), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="mail.localhost") as client,
    ):
        client.sendall(head.encode())
        return int(client.recv(4096).split()[1])


def test_every_shield_has_a_probe_that_a_walk_can_send() -> None:
    for shield in load_shields().shields:
        assert shield.probe.target.startswith("/"), shield.id
