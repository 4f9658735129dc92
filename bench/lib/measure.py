"""The measurements. Rounds are interleaved: in each round every contestant has its turn, so that whatever else the
machine does falls on all of them; figures are medians over the rounds."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from gambeson.app.place import Place

from .contestants import DOMAIN, HERE, Contestant, Stage
from .meter import cpu, pss

MEGABYTE = 1_000_000


@dataclass
class Row:
    """Figures of one contestant: lists while they are gathered, one value per round."""

    name: str
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **values: float) -> None:
        """One round's."""
        for key, value in values.items():
            self.values.setdefault(key, []).append(value)

    def __getitem__(self, key: str) -> float:
        return median(self.values[key]) if key in self.values else 0.0

    def parts(self) -> dict[str, float]:
        """CPU by part, where there is more than one."""
        found = {k.removeprefix("part "): self[k] for k in self.values if k.startswith("part ")}
        return found if len(found) > 1 else {}


def job(stage: Stage, contestant: Contestant, what: str, **more: Any) -> str:
    """The client's argument."""
    common = {"what": what, "port": contestant.port, "ca": stage.ca, "accounts": contestant.accounts}
    return json.dumps(common | more)


def client(argument: str) -> dict[str, Any]:
    """Run one job to its end."""
    command = [sys.executable, str(HERE / "client.py"), argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-2000:]}{done.stdout}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def used(contestant: Contestant) -> dict[str, float]:
    """CPU seconds by part."""
    return {part: cpu(contestant.pids(part)) for part in contestant.parts}


def spent(before: dict[str, float], after: dict[str, float], by: float) -> dict[str, float]:
    """Milliseconds per unit: by part, and all together as ``cpu``."""
    parts = {f"part {k.removeprefix('only ')}": (after[k] - before[k]) * 1000 / by for k in after}
    return {**parts, "cpu": sum(parts.values())}


def logins(stage: Stage, rounds: int, count: int) -> list[Row]:
    """New connection, TLS 1.3, sign-in, gone: 16 at a time."""
    rows = {c.name: Row(c.name) for c in stage.contestants}
    for number in range(-1, rounds):
        for contestant in stage.contestants:
            many = count if number >= 0 else 100  # the first round only warms up
            argument = job(stage, contestant, "logins", count=many, first=max(0, number) * count, at_once=16)
            time.sleep(0.3)
            before = used(contestant)
            answer = client(argument)
            time.sleep(0.5)  # the worker takes the last events in
            after = used(contestant)
            if answer["errors"]:
                raise RuntimeError(f"{contestant.name}: {answer['errors']}")
            if number >= 0:
                rows[contestant.name].add(
                    rate=answer["done"] / answer["seconds"],
                    p50=answer["p50"],
                    p99=answer["p99"],
                    **spent(before, after, answer["done"]),
                )
    return list(rows.values())


def fetch(stage: Stage, rounds: int, times: int) -> list[Row]:
    """A message of 50 MB, some times over one connection."""
    line = b"The quick brown fox jumps over the lazy dog, again and again, for fifty million octets.\r\n"
    message = b"Subject: large\r\n\r\n" + line * (50 * MEGABYTE // len(line))
    rows: dict[str, Row] = {}
    for contestant in stage.contestants:
        stage.backend.deliver(contestant.accounts[0][0].partition("*")[0], message)
    for _ in range(rounds):
        for contestant in stage.contestants:
            before = used(contestant)
            answer = client(job(stage, contestant, "fetch", times=times))
            megabytes = answer["octets"] / MEGABYTE
            rows.setdefault(contestant.name, Row(contestant.name)).add(
                rate=megabytes / answer["seconds"], **spent(before, used(contestant), megabytes)
            )
    return list(rows.values())


class Held:
    """Sessions that a client holds."""

    def __init__(self, argument: str) -> None:
        self._client = subprocess.Popen(
            [sys.executable, str(HERE / "client.py"), argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.opened: dict[str, Any] = self.answer()

    def answer(self) -> dict[str, Any]:
        """The client's next line."""
        assert self._client.stdout is not None
        answer: dict[str, Any] = json.loads(self._client.stdout.readline())
        return answer

    def finish(self) -> None:
        """Let them go."""
        self._client.communicate("\n", timeout=60)


def idle(stage: Stage, sessions: int) -> list[Row]:
    """KiB a session: what the processes have more with the sessions than before."""
    rows = []
    for contestant in [c for c in stage.contestants if c.proxy]:
        stage.fresh(contestant)
        client(job(stage, contestant, "logins", count=20, first=0, at_once=4))
        pids = [pid for part in contestant.memory for pid in contestant.pids(part)]
        before = pss(pids)
        held = Held(job(stage, contestant, "hold", count=sessions))
        if held.opened["open"] != sessions:
            raise RuntimeError(f"{contestant.name}: only {held.opened}")
        time.sleep(1.5)
        pids = [pid for part in contestant.memory for pid in contestant.pids(part)]
        row = Row(contestant.name)
        row.add(before=before / 1024, after=pss(pids) / 1024, each=(pss(pids) - before) / sessions)
        rows.append(row)
        held.finish()
        time.sleep(1.5)
    return rows


def revocation(stage: Stage, sessions: int) -> Row:
    """Seconds from ``device revoke`` to the last of the device's sessions seeing its end.

    The device has a client certificate and the account's password goes on as it is, because the keeper would not
    sign one account in so often.
    """
    ours = next(c for c in stage.contestants if c.name == "Gambeson")
    account = [(f"many@{DOMAIN}", "account-password")]
    pem = stage.device["certificate"]["files"]["pem"]
    argument = json.loads(job(stage, ours, "hold", count=sessions, certificate=pem)) | {"accounts": account}
    held = Held(json.dumps(argument))
    if held.opened["open"] != sessions:
        raise RuntimeError(f"revocation: only {held.opened}")
    time.sleep(1.0)
    begin = time.time()
    done = stage.gambeson.run("device", "revoke", stage.device["device"], "--json")
    command = time.time() - begin
    answer = held.answer()
    held.finish()
    with sqlite3.connect(f"file:{Place(stage.gambeson.data).control}?mode=ro", uri=True) as database:
        written = database.execute("SELECT max(revoked_at) FROM credentials").fetchone()[0]
    row = Row("revocation")
    row.add(
        closed=answer["closed"],
        command=command,
        from_command=answer["last"] - begin,
        from_write=answer["last"] - written,
        first=answer["first"] - written,
    )
    if json.loads(done.stdout)["missing"]:
        raise RuntimeError(f"revocation: not acknowledged: {done.stdout}")
    return row


def decide(script: Path) -> dict[str, float]:
    """Microseconds of ``decide()`` alone."""
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    found = re.search(r"p50 ([\d.]+) us, p99 ([\d.]+) us", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    return {"p50": float(found[1]), "p99": float(found[2])}
