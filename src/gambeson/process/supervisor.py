"""The supervisor: starts keeper, worker, doors and console, and starts each again when it ends.

It binds the listening sockets and keeps both ends of every channel, and does nothing else: it speaks
no protocol, opens no database, holds no key. A child is started by exec, so it shares no memory with
anyone and a reload takes new code. What it does for whom:

    start        all at once; ready when every child says so
    a child ends started again after 0.2 s, doubled up to 10 s; the others go on
    SIGHUP       new doors on the same sockets, then the old ones drain; then the others in turn
    SIGTERM      doors and console say goodbye, then worker and keeper; at most 10 s; exit 0
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .channel import Channel, ChannelGone
from .child import BirthCertificate
from .family import CONSOLE, DOORS, KEEPER, PORTAL, WORKER, Child, Switchboard, by_role
from .listen import Listen, bind
from .messages import BirthFailed, ChildReady, Drain, Message, PeerAdded, PeerGone, Stop, ToSupervisor
from .privileges import PrivilegeError, user_ids
from .run_directory import RunDirectory, RunError, own_folder

GOODBYE_SECONDS = 2.5  # of the stop time, kept for worker and keeper
MANY_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``argv_for(role)`` is the program, ``parameters(role)`` its plain JSON values,
    ``users`` whom each role drops to (absent: nobody else), ``sealed`` the roles that may neither
    import, execute nor open by path after the drop, ``extra`` further roles."""

    data: Path
    argv_for: Callable[[str], list[str]]
    listens: tuple[Listen, ...] = ()
    parameters: Callable[[str], Mapping[str, Any]] = lambda _: {}
    doors: int = 1
    console: bool = True
    extra: tuple[str, ...] = ()
    users: Mapping[str, str] = field(default_factory=dict)
    sealed: frozenset[str] = frozenset((DOORS, KEEPER))
    drain_seconds: float = 3900.0
    stop_seconds: float = 10.0
    birth_seconds: float = 30.0


def _say(sentence: str) -> None:
    print(f"gambeson: {sentence}", file=sys.stderr, flush=True)


class Supervisor:
    """``on_ready(addresses, run)`` is called once everything answers: listener name to (host, port), and
    the run directory to write ``ready.json`` with. ``reload()`` gives the new plan on SIGHUP; it may
    raise ValueError with a sentence, and everything stays as it is."""

    def __init__(
        self,
        plan: Plan,
        *,
        on_ready: Callable[[Mapping[str, tuple[str, int]], RunDirectory], None] | None = None,
        reload: Callable[[], Plan] | None = None,
        say: Callable[[str], None] = _say,
    ) -> None:
        self._plan, self._on_ready, self._reload_plan, self._say = plan, on_ready, reload, say
        self._listeners: dict[Listen, socket.socket] = {}
        self._commands: dict[str, socket.socket] = {}
        self._board = Switchboard()
        self._children: dict[str, Child] = {}
        self._generation = 0
        self._started = self._stopping = False
        self._code = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self) -> int:
        """Run until told to stop; returns the exit status. Raises RunError where it cannot begin."""
        self._run = RunDirectory(self._plan.data)
        try:
            self._prepare()
            return asyncio.run(self._main())
        finally:
            self._board.close()
            for sock in (*self._listeners.values(), *self._commands.values()):
                sock.close()
            self._run.close()

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener really listens; Unix sockets are where the plan put them."""
        return {n.name: sock.getsockname()[:2] for n, sock in self._listeners.items() if not n.unix}

    def _prepare(self) -> None:
        try:
            for user in self._plan.users.values():
                user_ids(user)
        except PrivilegeError as error:
            raise RunError(str(error)) from None
        for listen in self._plan.listens:
            self._listeners[listen] = bind(listen)
        self._commands = {r: self._run.command_socket(f"{r}.sock") for r in (WORKER, KEEPER)}
        for name in ("snapshots", "spool", "throttle"):
            worker = self._plan.users.get(WORKER) if os.geteuid() == 0 else None
            try:
                own_folder(self._plan.data / name, user_ids(worker) if worker else None)
            except OSError as error:
                raise RunError(f"{self._plan.data / name} cannot be made: {error.strerror}") from None

    async def _main(self) -> int:
        loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._reloads: asyncio.Queue[None] = asyncio.Queue(1)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_now.set)
        loop.add_signal_handler(signal.SIGHUP, self._ask_reload)
        for role in (KEEPER, WORKER, *([CONSOLE] if self._plan.console else []), *self._plan.extra):
            self._add(Child(role, role))
        self._add_doors()
        for child in self._children.values():
            self._start(child)
        self._task(self._reloading())
        await self._stop_now.wait()
        await self._stop_all()
        return self._code

    def _task(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- one child ---------------------------------------------------------------------------------

    def _add(self, child: Child) -> None:
        self._children[child.name] = child
        for other in self._board.join(child.name, child.role):
            peer = self._children[other]
            _, end = self._board.ends_of(other)[child.name]
            _note(peer, PeerAdded(name=child.name, role=child.role), end.fileno())

    def _add_doors(self) -> list[Child]:
        self._generation += 1
        doors = [Child(f"{DOORS}.{self._generation}.{n}", DOORS) for n in range(self._plan.doors)]
        for child in doors:
            self._add(child)
        return doors

    def _start(self, child: Child) -> None:
        if self._stopping or child.name not in self._children or child.process is not None:
            return
        role = child.role
        listeners = {n.name: s for n, s in self._listeners.items() if n.role == role}
        if role in self._commands:
            listeners["command"] = self._commands[role]
        certificate = BirthCertificate(
            role=role,
            name=child.name,
            parent=os.getpid(),
            owner=self._run.owner,
            user=self._plan.users.get(role, ""),
            sealed=role in self._plan.sealed,
            parameters=dict(self._plan.parameters(role)),
        )
        try:
            sock = child.spawn(
                self._plan.argv_for(role), certificate, self._board.ends_of(child.name), listeners
            )
        except OSError as error:
            child.born_at = time.monotonic()
            self._failed(child, f"cannot be started: {error.strerror}")
            return
        loop = asyncio.get_running_loop()
        child.channel = Channel(sock, ToSupervisor, lambda m, f: self._heard(child, m, f), name=child.name)
        loop.add_reader(child.pidfd, self._ended, child)
        loop.call_later(self._plan.birth_seconds, self._too_slow, child, child.process)

    def _heard(self, child: Child, message: ToSupervisor, fds: tuple[int, ...]) -> None:
        for fd in fds:
            os.close(fd)
        match message:
            case ChildReady():
                child.ready, child.said = True, ""
                if not self._started and all(c.ready for c in self._children.values()):
                    self._started = True
                    if self._on_ready is not None:
                        self._on_ready(self.addresses, self._run)
            case BirthFailed(sentence=sentence, code=code):
                child.reason = sentence
                if not self._started and not self._stopping:
                    self._say(sentence)
                    self._code = code if code in (2, 3) else 2
                    self._stop_now.set()
        self._changed.set()

    def _too_slow(self, child: Child, process: Any) -> None:
        if child.process is process and process is not None and not child.ready:
            child.reason = child.reason or f"was not ready within {self._plan.birth_seconds:g} s"
            process.kill()

    def _ended(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(child.pidfd)
        was_ready, leaving = child.ready, child.leaving
        status = child.bury()
        self._changed.set()
        if leaving or self._stopping:
            return
        if was_ready:
            self._say(f"{child.name} ended ({_how(status)}); it is started again, the others go on")
        self._failed(child, child.reason or _how(status))

    def _failed(self, child: Child, how: str) -> None:
        delay = child.backoff()
        if child.failures >= MANY_FAILURES and child.said != how:
            child.said = how
            self._say(
                f"{child.name} failed {child.failures} times in a row ({how}); trying again, the others go on"
            )
        asyncio.get_running_loop().call_later(delay, self._start, child)

    def _forget(self, child: Child) -> None:
        self._children.pop(child.name, None)
        for other in self._board.leave(child.name):
            if other in self._children:
                _note(self._children[other], PeerGone(name=child.name))

    # -- stop and reload -----------------------------------------------------------------------------

    async def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
        return True

    async def _end(self, children: list[Child], seconds: float) -> None:
        """Have them end within so many seconds, by the kernel if need be."""
        for child in children:
            child.leaving = True
            if child.process is not None and not _note(child, Stop(seconds=max(0.1, seconds - 0.5))):
                child.process.terminate()
            elif child.process is not None and not child.ready:
                child.process.terminate()  # still being born: it does not listen yet
        if not await self._until(lambda: all(c.process is None for c in children), seconds):
            for child in children:
                if child.process is not None:
                    child.process.kill()
            await self._until(lambda: all(c.process is None for c in children), 2.0)

    async def _stop_all(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        self._run.unready()
        everyone = list(self._children.values())
        seconds = self._plan.stop_seconds
        deadline = time.monotonic() + seconds
        await self._end(
            by_role(everyone, DOORS, CONSOLE, *self._plan.extra), max(0.5, seconds - GOODBYE_SECONDS)
        )
        await self._end(by_role(everyone, WORKER, KEEPER), max(0.5, deadline - time.monotonic()))

    def _ask_reload(self) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._reloads.put_nowait(None)

    async def _reloading(self) -> None:
        while True:
            await self._reloads.get()
            try:
                await self._reload()
            except (ValueError, RunError) as error:
                self._say(f"nothing was reloaded: {error}")

    async def _reload(self) -> None:
        plan = self._reload_plan() if self._reload_plan is not None else self._plan
        fresh: dict[Listen, socket.socket] = {}
        try:
            for listen in plan.listens:
                if listen not in self._listeners:
                    fresh[listen] = bind(listen)
        except RunError:
            for sock in fresh.values():
                sock.close()
            raise
        before, old = self._plan, by_role(self._children.values(), DOORS)
        self._plan = plan
        self._listeners.update(fresh)
        if PORTAL in plan.extra and PORTAL not in self._children:
            self._add(Child(PORTAL, PORTAL))  # before the doors, which are born with a channel to it
            self._start(self._children[PORTAL])
        doors = self._add_doors()
        for child in doors:
            self._start(child)
        await self._until(
            lambda: all(c.ready for c in doors) or any(c.reason for c in doors), plan.birth_seconds + 1
        )
        if not all(c.ready for c in doors):
            self._plan = before
            reasons = (
                "; ".join(sorted({c.reason for c in doors if c.reason})) or "they were not ready in time"
            )
            await self._end(doors, 1.0)
            for child in doors:
                self._forget(child)
            for listen in fresh:
                self._listeners.pop(listen).close()
            raise ValueError(f"the new doors did not start ({reasons}); the old ones go on")
        for listen in [n for n in self._listeners if n not in plan.listens]:
            self._listeners.pop(listen).close()
        for child in old:
            self._drain(child)
        gone = self._children.get(PORTAL) if PORTAL not in plan.extra else None
        if gone is not None:
            await self._end([gone], self._plan.stop_seconds / 2)
            self._forget(gone)
        # Not the playground: sessions through old doors are open at it.
        for role in (KEEPER, WORKER, PORTAL, CONSOLE):
            if role in self._children:
                await self._replace(self._children[role])

    def _drain(self, child: Child) -> None:
        if child.process is None:
            self._forget(child)
            return
        _note(child, Drain(seconds=self._plan.drain_seconds))
        if not child.leaving:
            child.leaving = True
            self._task(self._drained(child, self._plan.drain_seconds))

    async def _drained(self, child: Child, seconds: float) -> None:
        if not await self._until(lambda: child.process is None, seconds):
            await self._end([child], self._plan.stop_seconds)
        self._forget(child)

    async def _replace(self, child: Child) -> None:
        await self._end([child], self._plan.stop_seconds / 2)
        child.leaving, child.failures = False, 0
        self._start(child)
        if not await self._until(lambda: child.ready, self._plan.birth_seconds + 1):
            self._say(f"{child.name} did not come back ({child.reason or 'no reason given'}); trying on")


def _note(child: Child, message: Message, *fds: int) -> bool:
    if child.channel is None:
        return False
    try:
        child.channel.send(message, fds)
    except ChannelGone:
        return False
    return True


def _how(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
