"""``up`` on a fresh data directory, and conversations with it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import process_world as sample

from gambeson.process.call import Caller
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.keys import open_keys, read_master
from gambeson.process.messages import PublishAsk, Published

HERE = Path(__file__).parent
SRC = HERE.parents[1] / "src"
LOGIN = f"login {sample.ADA.text}"


class Conversation:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 5)
        self.sock.settimeout(10)
        self.file = self.sock.makefile("rb")

    def say(self, line):
        self.sock.sendall(line.encode() + b"\n")
        return json.loads(self.file.readline())

    def rest(self):
        return self.file.read()


class Up:
    """One ``up`` on a fresh data directory."""

    def __init__(self, data, source=SRC, here=HERE, python=sys.executable, **told):
        self.data = data
        (data / "keeper").mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
        key = open_keys(data / "keeper", read_master(data / "keeper"), 1.8e9).device
        (data / "state.json").write_text('{"revoked": []}')
        self.plan = {"data": str(data), "key": key.hex(), "v": 1, **told}
        self.tell()
        self.errors = data.parent / "stderr"
        with self.errors.open("wb") as file:
            self.process = subprocess.Popen(
                [python, str(here / "up_main.py"), str(data.parent / "plan.json")],
                stderr=file,
                env={**os.environ, "PYTHONPATH": str(source)},
            )

    def tell(self, **more):
        self.plan.update(more)
        (self.data.parent / "plan.json").write_text(json.dumps(self.plan))

    @property
    def port(self):
        return json.loads((self.data / "run" / "ready.json").read_text())["doors"]["plain"][1]

    def ready(self):
        until((self.data / "run" / "ready.json").exists, 20)
        return self

    def talk(self):
        return Conversation(self.port)

    def worker(self, ask, answers):
        return Caller(self.data / "run" / "worker.sock", "the worker").ask(ask, answers, 3.0)

    def revoke(self, *ids):
        (self.data / "state.json").write_text(json.dumps({"revoked": ids}))

    def events(self):
        path = self.data / "events.json"
        return json.loads(path.read_text())["events"] if path.exists() else []

    def children(self):
        out = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = (quietly(Path(f"/proc/{pid}/cmdline").read_bytes) or b"").split(b"\0")
            if len(words) > 2:  # else it has just ended
                out.setdefault(words[-2].decode(), []).append(int(pid))
        return out

    def said(self):
        return self.errors.read_text()


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def quietly(call):
    try:
        return call()
    except (ChannelGone, ChannelRefused, OSError, ValueError, LookupError):
        return None


def whole(one):
    """Everyone holds the latest snapshot."""
    published = one.worker(PublishAsk(), Published)
    return not published.missing and len(published.acknowledged) == 1 + one.plan.get("doors", 2)
