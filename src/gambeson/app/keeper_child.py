"""The keeper process: opens its keys while it may, then serves."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop

from gambeson.process.child import Birth
from gambeson.process.family import WORKER
from gambeson.process.keeper import Keeper, rehearse
from gambeson.process.keys import KeeperKeys, open_keys, read_master
from gambeson.process.sealing import SealingError
from gambeson.settings import SettingsError

from .plan import path_of, read_secret


def open_keeper_keys(parameters: Mapping[str, Any], now: float) -> KeeperKeys:
    """The keys by the settings' way: passphrase, key reference, or the key file in the keeper's folder.
    Raises SealingError, SettingsError."""
    folder = Path(parameters["folder"])
    key, passphrase = parameters["key"], read_secret(parameters["passphrase"])
    file = path_of(key)
    if key is not None and file is None:
        master = _octets(read_secret(key))
    else:
        master = read_master(
            folder,
            key_file=file,
            credentials="" if file else os.environ.get("CREDENTIALS_DIRECTORY", ""),
            passphrase=passphrase,
        )
    return open_keys(folder, master, now)


def _octets(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    try:
        value = raw if len(raw) == 32 else bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:
        raise SealingError(
            "the keeper's key must be 32 octets or their 64 hexadecimal digits; correct keeper.key"
        )
    return value


def run_keeper(birth: Birth) -> int:
    """Until told to stop."""
    parameters = birth.parameters
    try:
        keys = open_keeper_keys(parameters, time.time())
        masters = {name: read_secret(plain) for name, plain in parameters["masters"].items()}
    except (SealingError, SettingsError) as error:
        return birth.fail(f"keeper: {error}")
    rehearse(keys)
    birth.drop()
    uvloop.run(_serve(birth, keys, masters))
    return 0


async def _serve(birth: Birth, keys: KeeperKeys, masters: dict[str, str]) -> None:
    async with birth.attend() as life:
        told = birth.parameters
        keeper = Keeper(keys, masters=masters, max_age=float(told["max_age"]), edges=bool(told["edges"]))
        feed = birth.peers[WORKER]
        others = [peer for peer in birth.peers.values() if peer.role != WORKER]
        life.on_peer, life.on_peer_gone = keeper.add_peer, keeper.remove_peer
        await keeper.start(others, feed, birth.listeners.get("command"), birth.certificate.owner)
        life.ready()
        await keeper.run(life)


def serve_administrator(keys: KeeperKeys, sock: socket.socket) -> None:
    """Answer one administrator on a channel of this process until it closes. Runs in a thread of its own."""

    async def serve() -> None:
        ended = asyncio.Event()
        Keeper(keys).attend(sock, ended.set)
        await ended.wait()

    asyncio.run(serve())
