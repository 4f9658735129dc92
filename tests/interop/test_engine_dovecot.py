"""Debian's Dovecot with exactly what ``guard export dovecot --auth-policy`` writes, asking a live decision API."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gambeson.guard.edge.recipes import ENGINE_RECIPES, Engine, Facts
from guard.edge.engines import KEY, Api
from guard.edge.web.gates import Gates, run, snapshot
from peers.dovecot import Dovecot, missing

pytestmark = [
    pytest.mark.peer("dovecot"),
    pytest.mark.skipif(bool(missing()), reason=missing() or "Dovecot"),
]
ALMA, BOB, PASSWORD = "alma@example.org", "bob@example.org", "right one"
# Its own delays for those who fail are for another test.
QUICK = "auth_failure_delay = 0\nservice anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n}\n"


class Stage:
    """Dovecot, and the API that it asks."""

    def __init__(self, api: Api, server: Dovecot) -> None:
        self.api, self.server = api, server

    async def sign_in(self, name: str, password: str) -> str:
        """The tagged answer."""
        context = ssl.create_default_context(cafile=str(self.server.ca))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.ports["imaps"], ssl=context, server_hostname="localhost"
        )
        await reader.readline()
        writer.write(b'i ID ("name" "Testbird" "version" "1")\r\n')
        while not (await reader.readline()).startswith(b"i "):
            pass
        writer.write(f'a LOGIN "{name}" "{password}"\r\n'.encode())
        while True:
            line = await reader.readline()
            if line.startswith(b"a ") or not line:
                writer.close()
                return line.decode().strip()


def staged(main: Callable[[Stage], Awaitable[None]], bob_enabled: bool = True) -> None:
    """One conversation."""
    made = snapshot()
    accounts = tuple(replace(a, enabled=bob_enabled or a.address != BOB) for a in made.accounts)

    async def conversation(gates: Gates) -> None:
        api = Api(gates)
        engine = Engine(api=f"127.0.0.1:{api.port}", key=KEY, nonce="nonce-of-the-tests")
        server = Dovecot(users={ALMA: PASSWORD, BOB: PASSWORD}, plaintext=True, extra=QUICK)
        files = ENGINE_RECIPES["dovecot"](Facts(engine=engine, etc=str(server.root)))
        (server.root / "decision-api-key.conf").write_text(files["decision-api-key.conf.secret"])
        with (server.root / "dovecot.conf").open("a") as file:
            file.write(files["98-gambeson-policy.conf"])
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, _accepted_by_doveconf, server)
        await loop.run_in_executor(None, server.__enter__)
        try:
            await main(Stage(api, server))
        finally:
            await loop.run_in_executor(None, server.__exit__, None, None, None)
            api.close()

    run(conversation, replace(made, accounts=accounts))


def _accepted_by_doveconf(server: Dovecot) -> None:
    done = subprocess.run(
        ["/usr/bin/doveconf", "-n", "-c", str(server.root / "dovecot.conf")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "auth_policy_reject_on_fail = yes" in done.stdout
    assert "auth_policy_check_after_auth = no" in done.stdout


def test_a_right_password_is_asked_about_once_and_reported() -> None:
    async def conversation(stage: Stage) -> None:
        assert (await stage.sign_in(ALMA, PASSWORD)).startswith("a OK")
        door = stage.api.gates.door
        for _ in range(50):
            if stage.api.gates.events("door.login.allowed"):
                break
            await asyncio.sleep(0.1)
        (event,) = stage.api.gates.events("door.login.allowed")
        assert event.data["claimed"] == ALMA
        assert event.data["mechanism"] == "PLAIN"
        assert "Testbird" in str(event.data["program"])
        assert door.throttle.failures(ALMA, door.counting()) == 0
        assert door.throttle.is_known_source("127.0.0.1", ALMA, door.counting())

    staged(conversation)


def test_whoever_is_switched_off_is_refused_in_dovecots_own_words() -> None:
    async def conversation(stage: Stage) -> None:
        wrong = await stage.sign_in(ALMA, "wrong")
        refused = await stage.sign_in(BOB, PASSWORD)
        assert refused.startswith("a NO [AUTHENTICATIONFAILED]")
        assert re.sub(r"\(.*", "", refused) == re.sub(r"\(.*", "", wrong)
        assert (await stage.sign_in(ALMA, PASSWORD)).startswith("a OK")

    staged(conversation, bob_enabled=False)


def test_guessing_waits_and_then_ends() -> None:
    async def conversation(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        door = stage.api.gates.door
        for number in range(4):
            assert (await stage.sign_in(BOB, f"guess {number}")).startswith("a NO")
        for _ in range(50):
            if door.throttle.failures(BOB, door.counting()) == 4:
                break
            await asyncio.sleep(0.1)
        began = loop.time()
        await stage.sign_in(BOB, "guess 4")
        assert loop.time() - began >= 1.5  # two seconds of tarpit after four failures
        for _ in range(6):
            now = door.counting()
            door.throttle.check("127.0.0.1", BOB, "", False, now)
            door.throttle.failed("127.0.0.1", BOB, "", False, now)
        refused = await stage.sign_in(BOB, PASSWORD)
        assert refused.startswith("a NO [ALERT] Too many failed sign-ins"), refused

    staged(conversation)


@pytest.mark.parametrize("how", ["gone", "wrong key", "not ready"])
def test_where_the_api_does_not_answer_nobody_signs_in(how: str) -> None:
    async def conversation(stage: Stage) -> None:
        assert (await stage.sign_in(ALMA, PASSWORD)).startswith("a OK")
        if how == "gone":
            stage.api.close()
        elif how == "not ready":
            stage.api.gates.door.index = None
        else:
            object.__setattr__(stage.api.listener.api._settings, "digest", bytes(32))
        assert (await stage.sign_in(ALMA, PASSWORD)).startswith("a NO")

    staged(conversation)
