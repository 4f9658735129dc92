"""Every JSON document that Gambeson writes, held against its schema in docs/schemas: each command with --json, on one
playground. The table of commands is that page's own (docs/schemas/README.md)."""

from __future__ import annotations

import argparse
import http.client
import imaplib
import json
import re
import sqlite3
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from assess.dns_zone import Zone
from gambeson.cli.frame import parser
from peers.gambeson import Gambeson

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
OPENAPI = ("portal-api.json", "openapi.json")  # the portal's pages and the API, no documents of a command
CONTENTS = {
    path.name: json.loads(path.read_text())
    for path in sorted(SCHEMAS.glob("*.json"))
    if path.name not in OPENAPI
}
REGISTRY: Any = Registry().with_resources(
    [(name, Resource.from_contents(schema)) for name, schema in CONTENTS.items()]
)
PAGE = (SCHEMAS / "README.md").read_text()
TABLE = {
    row[1]: re.findall(r"\(([a-z-]+\.json)\)", row[2])
    for row in re.finditer(r"^\| `([a-z -]+)` \| (.*) \|$", PAGE, re.MULTILINE)
}
ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"


def valid(document: Any, name: str) -> None:
    """Holds it against the schema; every fault with its place."""
    faults = Draft202012Validator({"$ref": name}, registry=REGISTRY).iter_errors(document)
    said = "\n".join(f"{fault.json_path}: {fault.message[:300]}" for fault in faults)
    assert not said, f"{name}: {said}"


def commands(found: argparse.ArgumentParser | None = None, words: str = "") -> Iterator[str]:
    """Every command that runs something."""
    found = found or parser()
    groups = [each for each in found._actions if isinstance(each, argparse._SubParsersAction)]
    for group in groups:
        for name, below in group.choices.items():
            yield from commands(below, f"{words} {name}".strip())
    if not groups:
        yield words


def test_every_command_has_a_schema_and_every_schema_a_use() -> None:
    assert sorted(TABLE) == sorted(commands())
    used = {name for names in TABLE.values() for name in names}
    inside = set(re.findall(r'"([a-z-]+\.json)#', json.dumps(CONTENTS)))
    assert used | inside | {"health.json", "problem.json", "report.json"} == set(CONTENTS)


@pytest.mark.parametrize("name", CONTENTS)
def test_each_is_a_schema_that_can_fail(name: str) -> None:
    Draft202012Validator.check_schema(CONTENTS[name])
    assert CONTENTS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    if name != "parts.json":
        with pytest.raises(AssertionError):
            valid({"surely": "not"}, name)


class Tried:
    """Runs commands with --json and holds what they answer against the page's schema."""

    def __init__(self, gambeson: Gambeson, folder: Path) -> None:
        self.gambeson, self.folder = gambeson, folder
        self.seen: set[str] = set()

    def __call__(self, command: str, *args: str, exits: int = 0, stdin: str = "", of: str = "") -> Any:
        done = self.gambeson.run(*command.split(), *args, "--json", check=False, stdin=stdin)
        assert done.returncode == exits, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        document = json.loads(done.stdout)  # exactly one document: anything behind it is an error here
        valid(document, of or TABLE[command][0])
        self.seen.add(command)
        return document


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    folder = tmp_path_factory.mktemp("schemas")
    with Gambeson(folder / "data", "--json") as gambeson:
        yield Tried(gambeson, folder)


def signed_in(tried: Tried) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("127.0.0.1", tried.gambeson.port("imaps"), ssl_context=tried.gambeson.tls)
    client.login(ALMA, tried.gambeson.secret)
    return client


def test_up(tried: Tried) -> None:
    valid(tried.gambeson.ready, "ready.json")
    log = tried.gambeson.log.read_text()  # standard output and error together
    start = log.index("{\n")
    document, _ = json.JSONDecoder().raw_decode(log, start)
    assert document == tried.gambeson.ready
    tried.seen.add("up")


def test_the_console(tried: Tried) -> None:
    port = int(tried.gambeson.ready["console"].rpartition(":")[2])
    context = ssl.create_default_context(cafile=tried.gambeson.ca)
    for path, status, name in (("/health", 200, "health.json"), ("/api/v1/accounts", 401, "problem.json")):
        client = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
        client.request("GET", path)
        answer = client.getresponse()
        assert answer.status == status
        valid(json.loads(answer.read()), name)
        client.close()


def test_organisations(tried: Tried) -> None:
    tried("org add", "Bakery", "--domain", "bakery.example")
    tried("org set", "Bakery", "--enrolment-url", "https://login.bakery.example/")
    tried("org domain add", "rolls.example", "--org", "Bakery")
    tried("org domain remove", "rolls.example", "--org", "Bakery")
    assert tried("org cloud allow", "microsoft", "--org", "Bakery")["clouds"] == ["microsoft"]
    [cloud] = tried("org cloud list", "--org", "Bakery")["clouds"]
    assert (cloud["id"], cloud["allowed"]) == ("microsoft", True)
    assert tried("org cloud refuse", "microsoft", "--org", "Bakery")["clouds"] == []
    assert len(tried("org list")["organisations"]) == 2
    tried("org remove", "Bakery", "--yes")


def test_accounts(tried: Tried) -> None:
    address = "dora@playground.example"
    tried("account add", address, "--alias", "d@playground.example", "--group", "staff")
    tried("account set", address, "--upstream-login", "dora")
    tried("account disable", address)
    tried("account enable", address)
    tried("account password", address, "--password-file", "-", stdin="a long password\n")
    tried("account seal-password", address, "--password-file", "-", stdin="another\n")
    assert len(tried("account list")["accounts"]) == 4
    tried("account code", address)
    assert tried("account factors", address)["code_pending_until"]
    tried("account factors", address, "--remove-all", of="account-factors-removed.json")
    tried("account remove", address)


def test_devices(tried: Tried) -> None:
    given = tried("device enrol", BRUNO, "--name", "Phone", "--expires", "30d")
    for command in ("device quarantine", "device approve", "device block", "device lost", "device revoke"):
        tried(command, given["device"], "--reason", "a test")
    machine = ("--machine", "--network", "192.0.2.0/24", "--owner", "office", "--review", "180d")
    tried("device enrol", BRUNO, "--name", "Scanner", "--doors", "submission", *machine)
    tried("device eas block", BRUNO, "SEC1")
    tried("device eas quarantine", BRUNO, "SEC1")
    tried("device eas allow", BRUNO, "SEC1")
    assert len(tried("device eas list", BRUNO)["phones"]) == 1
    tried("device eas forget", BRUNO, "SEC1")
    assert tried("device eas list")["phones"] == []
    tried("device crl")
    tried("device list", BRUNO)
    tried("device list")


def test_a_certificate_and_its_device_again(tried: Tried) -> None:
    """A device whose certificate is recorded nowhere (the store is from a backup made before it was issued) still has
    it: it is registered by that."""
    tried("org add", "Yard", "--domain", "yard.example")
    tried("account add", "emil@yard.example")
    given = tried(
        "device enrol",
        "emil@yard.example",
        "--name",
        "Laptop",
        "--certificate",
        "--out",
        str(tried.folder),
    )
    file = tried.folder / "certificate.pem"
    text = Path(given["certificate"]["files"]["pem"]).read_text()
    file.write_text(text[: text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n")
    with sqlite3.connect(tried.gambeson.data / "store" / "control.db") as database:
        for table in ("certificates", "credentials"):
            database.execute(f"DELETE FROM {table} WHERE device = ?", (given["device"],))
    tried("account remove", "emil@yard.example")
    tried("org remove", "Yard", "--yes")
    tried("device adopt", BRUNO, "--name", "Laptop", "--certificate", str(file))


def test_sessions(tried: Tried) -> None:
    client = signed_in(tried)
    (session,) = tried("session list")["sessions"]
    assert session["account"] == ALMA
    assert tried("session kill", session["id"])["closed"] == 1
    assert tried("session list", "--portal", of="session-list-portal.json")["sessions"] == []
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        client.select()


def test_policy(tried: Tried) -> None:
    default = tried("policy show")
    assert default["default"]
    file = tried.folder / "policy.toml"
    file.write_text(default["toml"])
    tried("policy check", str(file))
    bad = tried.folder / "bad.toml"
    bad.write_text("[floors]\nimap = 'nothing'\n")
    assert tried("policy check", str(bad), exits=2)["problems"]
    tried("policy set", str(file), "--note", "first")
    tried("policy set", str(file))
    tried("policy roll-back", "1")
    assert tried("policy list")["in_force"] == 1
    assert tried("policy reset")["version"] == 0
    tried("policy show")


def test_guard(tried: Tried) -> None:
    signed_in(tried).logout()
    tried("guard explain", "--door", "imap", "--account", ALMA)
    tried("guard explain", "--door", "imap", "--account", ALMA, "--rung", "device-secret")
    assert tried("guard mode")["modes"] == []
    tried("guard mode", "imap", "observe", "--reason", "a test", of="guard-mode-set.json")
    tried("guard open", "--for", "1h", "--reason", "a test")
    tried("guard mode")
    assert tried("guard prove")["open_by_mode"]
    assert tried("guard ready")["bypass"]
    tried("guard open", "--close")
    tried("guard mode", "imap", "enforce", of="guard-mode-set.json")
    for recipe in ("dovecot", "systemd"):
        tried("guard export", recipe)
    assert tried("guard export", "nginx", "--out", str(tried.folder / "recipe"))["written"]


def test_shields(tried: Tried) -> None:
    assert tried("guard shields")["shields"]
    log = tried.folder / "requests.jsonl"
    log.write_text(
        json.dumps({"time": 1609770000, "method": "POST", "host": "m", "path": "/ecp/y.js"}) + "\n"
    )
    assert tried("guard shields", "--replay", str(log), of="guard-shields-replay.json")["hits"]


@pytest.mark.slow
def test_the_walk(tried: Tried) -> None:
    assert tried("guard walk", "--rate", "200")["good"]


def test_findings(tried: Tried) -> None:
    machine = ("--machine", "--network", "192.0.2.0/24", "--owner", "office", "--review", "2020-01-01")
    tried("device enrol", BRUNO, "--name", "Old", *machine)
    found = _until_found(tried)
    tried("finding show", found["id"])
    tried("finding waive", found["id"], "--reason", "a test", "--owner", "me", "--until", "1d")
    tried("finding list", "--all")


def _until_found(tried: Tried) -> Any:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        listed = tried("finding list", "--fail-on", "never")["findings"]
        if listed:
            return listed[0]
        time.sleep(0.5)
    raise AssertionError("no finding within 30 s")


def test_doctor_settings_version(tried: Tried) -> None:
    assert tried("doctor", "--fail-on", "critical")["checks"]
    sample = tried("settings sample")["toml"]
    tried("settings reference")
    file = tried.folder / "gambeson.toml"
    file.write_text(sample)
    tried("settings check", str(file))
    tried("version")
    assert json.loads(tried.gambeson.run("--version", "--json").stdout) == tried("version")


def test_audit(tried: Tried) -> None:
    assert tried("audit show", "--limit", "5")["entries"]
    assert tried("audit export")["entries"]
    out = tried.folder / "audit.jsonl"
    tried("audit export", "--out", str(out))
    assert tried("audit verify", "--head", str(out))["faults"] == []


def test_staff(tried: Tried) -> None:
    console = tried.gambeson.ready["console"]
    assert tried("staff add", "Tom", "--role", "auditor", "--everywhere")["link"].startswith(
        f"{console}/welcome/"
    )
    tried("staff grant", "Tom", "--role", "responder", "--everywhere", "--until", "7d")
    tried("staff withdraw", "Tom", "--role", "responder", "--everywhere")
    tried("staff list")
    tried("staff link", "Tom")
    tried("staff disable", "Tom")
    tried("staff enable", "Tom")
    tried("staff codes", "--new")
    tried("staff remove", "Tom")


def test_backup_and_restore(tried: Tried) -> None:
    kept = tried("backup", str(tried.folder / "kept.zip"))
    answer = Gambeson(tried.folder / "restored").run("restore", kept["file"], "--json")
    valid(json.loads(answer.stdout), "restore.json")
    tried.seen.add("restore")


def test_connect(tried: Tried) -> None:
    """The playground's own doors are the mail server that is looked at."""
    ports = {name: tried.gambeson.port(name) for name in ("imaps", "submissions")}
    answer = Gambeson(tried.folder / "connected").run(
        *("connect", "--yes", "--json", "--domain", "example.org", "--sign-in", "sealed"),
        *("--imap", f"imaps://localhost:{ports['imaps']}", "--server-ca", tried.gambeson.ca),
        *("--submission", f"smtps://localhost:{ports['submissions']}"),
    )
    valid(json.loads(answer.stdout), "connect.json")
    tried.seen.add("connect")


def test_look(tried: Tried) -> None:
    """The playground's own doors are what is looked at; its names are the test's."""
    zone = Zone(
        {"playground.example MX": "10 mail.playground.example", "mail.playground.example A": "127.0.0.1"}
    )
    ports = [f"--port={name}={tried.gambeson.port(name)}" for name in ("imaps", "submission", "https")]
    with zone.served() as resolver:
        where = f"127.0.0.1:{resolver.port}"
        found = tried(
            "look", "playground.example", "--yes", "--private", "--resolver", where, "--ca", tried.gambeson.ca,
            *ports, exits=1,
        )  # fmt: skip
    assert {door["protocol"] for door in found["facts"]["doors"] if door["state"] == "open"} >= {
        "imaps",
        "https",
    }


def test_none_was_left_out(tried: Tried) -> None:
    assert set(TABLE) - tried.seen <= {"guard walk"}  # slow, so not always run
