"""The children of the tests: real keeper and worker over a toy store, and a small door and console.

Run as ``python child_main.py ROLE``. The door speaks a line protocol on its listener ``plain``:
``hello`` greets with pid and snapshot, ``login SECRET`` asks the keeper, ``probe PATH`` says what the
process may still do, ``bye`` ends. The toy store is two JSON files in the data directory.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import process_world as sample

from gambeson.process import child
from gambeson.process.keeper import Keeper, rehearse
from gambeson.process.keeper_client import AdminKeeper, CredentialAsk, DoorKeeper, KeeperGone, KeeperRefused
from gambeson.process.keys import open_keys, read_master
from gambeson.process.messages import SessionInfo
from gambeson.process.sealing import SealingError
from gambeson.process.worker import Worker
from gambeson.process.worker_link import WorkerLink


class ToyStore:
    """``state.json`` holds what is revoked, ``events.json`` events and cursors, written in one step."""

    def __init__(self, data: Path, key: bytes) -> None:
        self._data, self._key = data, key

    def _books(self):
        path = self._data / "events.json"
        return json.loads(path.read_text()) if path.exists() else {"events": [], "cursors": {}}

    def _write(self, books):
        beside = self._data / "events.new"
        beside.write_text(json.dumps(books))
        beside.rename(self._data / "events.json")

    def build(self, number, now):
        state = json.loads((self._data / "state.json").read_text())
        made = sample.snapshot(number, self._key)
        from dataclasses import replace

        rows = tuple(replace(c, revoked_at=now) if c.id in state["revoked"] else c for c in made.credentials)
        return replace(made, credentials=rows, made_at=now)

    def ingest(self, events, cursor):
        books = self._books()
        books["events"] += [[e.id, e.kind, e.account] for e in events]
        books["cursors"][cursor.segment] = cursor.offset
        self._write(books)

    def cursors(self):
        return self._books()["cursors"]

    def forget(self, segment):
        books = self._books()
        books["cursors"].pop(segment, None)
        self._write(books)


def worker(birth: child.Birth) -> int:
    data = Path(birth.parameters["data"])
    store = ToyStore(data, bytes.fromhex(birth.parameters["key"]))
    birth.drop()

    async def main():
        async with birth.attend() as life:
            made = Worker(store, data)
            life.on_peer, life.on_peer_gone = made.add_peer, made.remove_peer
            await made.start(list(birth.peers.values()), birth.listeners.get("command"), birth.owner)
            life.ready()
            await made.run(life)

    asyncio.run(main())
    return 0


def keeper(birth: child.Birth) -> int:
    folder = Path(birth.parameters["data"]) / "keeper"
    try:
        keys = open_keys(folder, read_master(folder), 1.8e9)
        rehearse(keys)
    except SealingError as error:
        return birth.fail(f"keeper: {error}", 2)
    birth.drop()

    async def main():
        async with birth.attend() as life:
            made = Keeper(keys)
            life.on_peer, life.on_peer_gone = made.add_peer, made.remove_peer
            feed = birth.peers.pop("worker")
            await made.start(list(birth.peers.values()), feed, birth.listeners.get("command"), birth.owner)
            life.ready()
            await made.run(life)

    asyncio.run(main())
    return 0


class Session:
    def __init__(self, name, writer):
        self.name, self.writer, self.account = name, writer, ""


def door(birth: child.Birth) -> int:
    if birth.parameters.get("break_doors"):
        return birth.fail("the certificate /x cannot be read", 2)
    refused = []
    birth.drop(refused.append)
    if birth.parameters.get("loop") == "uvloop":
        import uvloop

        uvloop.run(door_main(birth, refused))
    else:
        asyncio.run(door_main(birth, refused))
    return 0


async def door_main(birth, refused):
    sessions: set[Session] = set()
    async with birth.attend() as life:

        def close(admits):
            gone = [s for s in sessions if s.account and not admits(s)]
            for s in gone:
                s.writer.write(b"* BYE\r\n")
                s.writer.close()
            return len(gone)

        link = WorkerLink(
            birth.peers["worker"].sock,
            birth.name,
            on_snapshot=lambda index: close(lambda s: not index.credential["c1"].revoked_at) and None,
            sessions=lambda _: [SessionInfo(id=s.name, door="imap", account=s.account) for s in sessions],
            kill=lambda ask: close(lambda s: ask.account != s.account),
        )
        keeper = DoorKeeper(birth.peers["keeper"].sock)
        await link.first()

        async def serve(reader, writer):
            session = Session(f"{birth.name}-{len(sessions)}", writer)
            sessions.add(session)
            try:
                while line := (await reader.readline()).decode().split():
                    writer.write(json.dumps(await answer(session, line)).encode() + b"\n")
                    if line[0] == "bye":
                        break
            finally:
                sessions.discard(session)
                writer.close()
                if life.draining.is_set() and not sessions:
                    life.stop()

        async def answer(session, line):
            if line[0] == "hello":
                return {
                    "pid": os.getpid(),
                    "name": birth.name,
                    "number": link.holder.number,
                    "v": birth.parameters["v"],
                }
            if line[0] == "bye":
                return {}
            if line[0] == "probe":
                return probe(line[1:], refused)
            if not link.spool.healthy:
                return {"refused": "no record"}
            try:
                given = await keeper.credential(
                    CredentialAsk("a1", "main", "imap", "127.0.0.1", secret=line[1])
                )
            except (KeeperGone, KeeperRefused) as error:
                reason = getattr(error, "reason", "gone")
                return {"refused": reason}
            session.account = "a1"
            link.spool.append("door.login.allowed", 1.0, account="a1")
            return {"mechanism": given.mechanism, "count": link.spool._count}

        server = await asyncio.start_server(serve, sock=birth.listeners["plain"])
        life.ready()
        stop = asyncio.create_task(life.stopped.wait())
        drain = asyncio.create_task(life.draining.wait())
        await asyncio.wait((stop, drain), return_when=asyncio.FIRST_COMPLETED)
        server.close()
        await asyncio.sleep(0.2)  # whoever was accepted already has a session by then
        if not sessions:
            life.stop()
        await stop
        drain.cancel()
        for s in list(sessions):
            s.writer.write(b"* BYE\r\n")
            s.writer.close()
        await asyncio.sleep(0.05)
        await link.close()


def probe(paths, refused):
    """What this process may still do: its ids, each path, and what seals refuse."""
    import errno

    out = {"uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups()}
    for path in paths:
        # stat is not audited: this asks the kernel, not the seal.
        out[path] = os.access(path, os.R_OK)
    for name, attempt in {
        "import": lambda: __import__("wave"),
        "open": lambda: os.close(os.open("/etc/hostname", os.O_RDONLY)),
        "exec": lambda: os.system("true"),
        "root": lambda: os.setuid(0),
        "encode": lambda: "bücher.example".encode("idna"),
    }.items():
        try:
            attempt()
            out[name] = "done"
        except OSError as error:
            out[name] = errno.errorcode.get(error.errno, "?")
        except ImportError:
            out[name] = "ImportError"
    out["told"] = list(refused)
    return out


def console(birth: child.Birth) -> int:
    admin = AdminKeeper(birth.peers["keeper"].sock)
    birth.drop()

    async def main():
        async with birth.attend() as life:
            ask = asyncio.create_task(asyncio.to_thread(admin.secret_verifier, sample.ADA.text))
            stop = asyncio.create_task(life.stopped.wait())
            await asyncio.wait((ask, stop), return_when=asyncio.FIRST_COMPLETED)
            if life.stopped.is_set():
                os._exit(0)
            assert len(await ask) == 32
            life.ready()
            await life.stopped.wait()

    asyncio.run(main())
    return 0


if __name__ == "__main__":
    mains = {"worker": worker, "keeper": keeper, "doors": door, "console": console}
    sys.exit(child.run(mains[sys.argv[1]]))
