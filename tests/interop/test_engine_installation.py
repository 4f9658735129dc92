"""A whole installation with ``[decision_api]``, and what ``guard export`` writes from its settings."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from interop.sites import USERS, open_folder
from peers.gambeson import Gambeson
from peers.process import free_port

KEY = "0123456789abcdef0123456789abcdef"
ASK = {
    "login": "anna@example.org",
    "remote": "203.0.113.7",
    "protocol": "imap",
    "pwhash": "0831",
    "session_id": "s",
    "tls": True,
}


def _post(port: int, command: str, key: str, ask: object = ASK) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/?command={command}", json.dumps(ask).encode(), {"X-API-Key": key}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_it_answers_with_the_key_of_the_settings_and_ends_with_the_door() -> None:
    port = free_port()
    with open_folder("gie") as folder:
        key = folder / "api.key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        settings = (
            (USERS if os.geteuid() == 0 else "")
            + f'[decision_api]\nlisten = "127.0.0.1:{port}"\nkey = "file:{key}"\n'
            + '[[server]]\nname = "behind"\nimap = "imap+plain://127.0.0.1:9"\nsign_in = "token"\ntrusts_us = true\n'
        )
        with Gambeson(folder / "data", config=settings) as gambeson:
            gambeson.run("org", "add", "Example", "--domain", "example.org")
            gambeson.run("account", "add", "anna@example.org", "--org", "Example")
            assert _post(port, "allow", KEY)[1]["status"] == 0
            assert _post(port, "allow", "x" * 32)[0] == 401
            gambeson.run("account", "disable", "anna@example.org", "--org", "Example")
            assert _post(port, "allow", KEY, ASK | {"session_id": "t"})[1]["status"] == -1
            out = folder / "recipe"
            exported = _export(gambeson, "dovecot", "--auth-policy", "--out", str(out))
            secret = out / "decision-api-key.conf.secret"
            assert KEY in secret.read_text()
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
            assert f"http://127.0.0.1:{port}/" in (out / "98-gambeson-policy.conf").read_text()
            assert KEY not in exported
            assert KEY not in _export(gambeson, "dovecot", "--auth-policy")
        with pytest.raises(OSError, match="refused"):
            _post(port, "allow", KEY)


def _export(gambeson: Gambeson, *words: str) -> str:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gambeson", "guard", "export", *words),
            *("--data", str(gambeson.data), "--config", str(gambeson.config)),
        ],
        capture_output=True,
        text=True,
        env=gambeson.env,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ('listen = "0.0.0.0:9480"\nkey = "env:K"', "other machines can reach"),
        ('listen = "127.0.0.1:9480"', "nobody may ask without one"),
        ('socket = "/run/x.sock"\nkey = "env:K"', "socket_user"),
    ],
)
def test_settings_that_would_leave_it_open(settings: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "gambeson.toml"
    path.write_text(f"[decision_api]\n{settings}\n")
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-m", "gambeson", "settings", "check", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.returncode == 2
    assert sentence in done.stdout + done.stderr


SITE = """[listen]
https = "127.0.0.1:8444"

[portal]
host = "login.example.org"

[[site]]
name = "webmail"
product = "roundcube"
organisation = "example"
hosts = ["webmail.example.org"]
address = "http+plain://127.0.0.1:8080"
sign_in = "%s"
"""


@pytest.mark.parametrize(
    ("recipe", "sign_in", "words", "plain"),
    [
        ("dovecot", "token", (), True),
        ("dovecot-2.4", "token", (), True),
        ("dovecot", "as-is", (), False),
        ("dovecot", "", (), False),
        ("dovecot", "", ("--webmail",), True),
    ],
)
def test_dovecot_takes_tokens_as_passwords_only_for_a_webmail(
    recipe: str, sign_in: str, words: tuple[str, ...], plain: bool, tmp_path: Path
) -> None:
    path = tmp_path / "gambeson.toml"
    path.write_text(SITE % sign_in if sign_in else "")
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gambeson", "guard", "export", recipe, *words),
            *("--config", str(path), "--data", str(tmp_path / "none")),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.returncode == 0, done.stderr
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("auth_mechanisms")]
    assert line == "auth_mechanisms = oauthbearer xoauth2" + (" plain login" if plain else "")


@pytest.mark.parametrize(
    "words",
    [
        ("nginx", "--host", "mail.example.org"),
        ("nginx", "--upstream", "https://x"),
        ("dovecot", "--host", "mail.example.org", "--upstream", "https://x"),
        ("nginx", "--auth-policy"),
        ("postfix", "--auth-policy"),
    ],
)
def test_exports_that_say_two_things(words: tuple[str, ...], tmp_path: Path) -> None:
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-m", "gambeson", "guard", "export", *words, "--data", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
