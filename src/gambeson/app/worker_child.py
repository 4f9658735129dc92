"""The worker process: the only one of the four that opens the store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from gambeson.guard.edge.notice_delivery import NoticePlan
from gambeson.model.server import MailServer
from gambeson.model.web import Site
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.child import Birth
from gambeson.process.snapshots import encode
from gambeson.process.worker import Worker
from gambeson.settings import SettingsError
from gambeson.store.control import Store
from gambeson.store.errors import StoreError
from gambeson.store.portal import Whose

from . import weekly
from .chores import chores, prepare
from .plan import read_secret
from .portal_desk import PortalDesk
from .publishing import rehearse
from .worker_store import WorkerStore

KEEP_EVENTS_DAYS = 400
KEEP_JOBS_DAYS = 30
KEEP_REQUESTS_DAYS, KEEP_REQUESTS = 90, 1_000_000
SEAL_SECONDS = 0.25


def run_worker(birth: Birth) -> int:
    """Until told to stop."""
    parameters = birth.parameters
    try:
        password = read_secret(parameters["store_password"])
        plan, letters = prepare(parameters), weekly.prepare(parameters)
    except (SettingsError, OSError) as error:
        return birth.fail(f"worker: {error}")
    url = with_password(parameters["store"], password)
    servers = msgspec.convert(parameters["servers"], tuple[MailServer, ...])
    sites = msgspec.convert(parameters["sites"], tuple[Site, ...])

    def opened(store: Store) -> WorkerStore:
        return WorkerStore(store, servers, parameters["enrolment_url"], sites)

    try:
        # Once before the drop, so that everything is imported while the interpreter can still be read.
        rehearse()
        with Store.open(url, migrate=False) as store:
            encode(opened(store).build(1, time.time()))
        birth.drop()
        store = Store.open(url, migrate=False)
    except StoreError as error:
        return birth.fail(f"worker: {error}", 3)
    with store:
        uvloop.run(_serve(birth, opened(store), store, plan, letters))
    return 0


def with_password(url: str, password: str) -> str:
    """A PostgreSQL address with the password that the settings keep apart."""
    if not password or not url.startswith("postgresql"):
        return url
    import sqlalchemy as sa

    return sa.make_url(url).set(password=password).render_as_string(hide_password=False)


async def _serve(
    birth: Birth, store: WorkerStore, opened: Store, plan: NoticePlan | None, letters: weekly.Letters | None
) -> None:
    async with birth.attend() as life:
        worker = Worker(store, Path(birth.parameters["data"]))
        worker.desk = PortalDesk(opened, worker.publish)
        life.on_peer, life.on_peer_gone = worker.add_peer, worker.remove_peer
        peers = list(birth.peers.values())
        await worker.start(peers, birth.listeners.get("command"), birth.certificate.owner)
        life.ready()
        beside = chores(birth.parameters, plan, worker, store, opened, letters)
        await worker.run(life, [_pruning(opened, birth.parameters), _sealing(worker, opened), *beside])


async def _sealing(worker: Worker, store: Store) -> None:
    """Have the keeper sign the audit log's head soon after every change. While the keeper is away the log grows
    unsealed; it is sealed when it is back."""
    loop = asyncio.get_running_loop()

    def sign(payload: bytes) -> bytes:
        return asyncio.run_coroutine_threadsafe(worker.sign_head(payload), loop).result(10)

    sealed = -1
    while True:
        with contextlib.suppress(StoreError, ChannelGone, ChannelRefused, TimeoutError):
            changed = await asyncio.to_thread(store.change_counter)
            if changed != sealed:
                await asyncio.to_thread(store.audit.seal, sign, time.time())
                sealed = changed
        await asyncio.sleep(SEAL_SECONDS)


async def _pruning(store: Store, parameters: Mapping[str, Any]) -> None:
    """What is kept does not grow for ever."""
    days, most = int(parameters["request_log_days"]), int(parameters["request_log_max"])
    while True:
        await asyncio.sleep(3600)
        with contextlib.suppress(StoreError):
            await asyncio.to_thread(prune, store, time.time(), days, most)


def prune(
    store: Store, now: float, request_days: int = KEEP_REQUESTS_DAYS, requests: int = KEEP_REQUESTS
) -> None:
    """Forget events, logged requests (also those beyond the newest ``requests``), failures, ended jobs, the portal's
    ended sessions and the certificates of removed organisations that are too old at ``now``."""
    store.events.prune_failures(now)
    store.events.prune(now - KEEP_EVENTS_DAYS * 86400)
    store.requests.prune(now - request_days * 86400, requests)
    store.jobs.prune(now - KEEP_JOBS_DAYS * 86400)
    store.prune_certificates(now)
    Whose(store.control, store.event_database).prune(now)
