"""What the worker does beside publishing and taking in events: measuring the doors, telling people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gambeson.console import glass
from gambeson.guard.core import notice_glass, notice_portal
from gambeson.guard.core.health import Running
from gambeson.guard.core.notice import Notice, compose
from gambeson.guard.edge.chores import repeat
from gambeson.guard.edge.findings import Findings, Lag, damaged_files
from gambeson.guard.edge.notice_delivery import NoticePlan, with_authorities
from gambeson.guard.edge.notices import Notices
from gambeson.process.worker import Worker
from gambeson.store.control import Store

from .weekly import Letters, Weekly
from .worker_store import WorkerStore

GLASS_SECONDS = 5.0


def prepare(parameters: Mapping[str, Any]) -> NoticePlan | None:
    """While files can still be read: how notices go, and everything imported that composing one imports. Raises
    OSError where the authorities' file can't be read."""
    compose(
        Notice("x", "d", "Übung", "ä@x.example", "a@x.example", False, "imap", "::1", "", 0.0), "", "x"
    ).as_bytes()
    told = notice_portal.PortalNotice(
        "x", "portal.factor.added", "a", "a@x.example", "ä@x.example", "", "::1", 0.0
    )
    notice_portal.compose(told, "", "x", "").as_bytes()
    notice_glass.compose(notice_glass.GlassNotice("x", "x", "ä@x.example", "::1", 0.0), "").as_bytes()
    if parameters["notices"] is None:
        return None
    return with_authorities(msgspec.convert(parameters["notices"], NoticePlan))


def chores(
    parameters: Mapping[str, Any],
    plan: NoticePlan | None,
    worker: Worker,
    store: WorkerStore,
    opened: Store,
    letters: Letters | None = None,
) -> list[Awaitable[None]]:
    """To be run beside the worker. Their store calls are on threads, so that none keeps a door waiting."""
    spool, lag = Path(parameters["data"]) / "spool", Lag()

    def running() -> Running:
        health = worker.health()
        return Running(
            followers=tuple(health.followers),
            ages=worker.snapshot_ages(),
            behind=lag.behind(health.number, health.followers, time.monotonic()),
            problem=health.problem,
            damaged=damaged_files(spool),
            rejected=worker.rejected,
        )

    findings = Findings(opened, running, lambda: store.newest, warn_age=float(parameters["warn_age"]))
    told = [Notices(opened, plan).run()] if plan is not None else []
    if plan is not None and letters is not None:
        told.append(Weekly(opened, plan, letters, lambda: store.newest, lambda: _lagging(worker)).run())
    return [findings.run(), repeat("measuring break-glass", GLASS_SECONDS, lambda: _glass(opened)), *told]


def _lagging(worker: Worker) -> int:
    health = worker.health()
    return sum(held < health.number for held in health.followers.values())


async def _glass(store: Store) -> None:
    await asyncio.to_thread(glass.settle, store, "worker", time.time())
