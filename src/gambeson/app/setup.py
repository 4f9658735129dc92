"""Before anything runs: the data directory, the keeper's keys and their public halves, the store and its upgrade, and
on the first run without settings the sample organisation.

The data directory is the starter's. As root the worker's user may pass through it to the folders that it owns.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from gambeson.model.server import MailServer
from gambeson.playground import sample
from gambeson.process.privileges import user_ids
from gambeson.process.run_directory import RunError, close_folder, give_file, held, own_folder
from gambeson.process.sealing import SealingError
from gambeson.settings import Config, SettingsError
from gambeson.store.backup import backup
from gambeson.store.control import Store
from gambeson.store.engine import EVERYWHERE, open_databases
from gambeson.store.errors import NotFound, SchemaOlder, StoreError
from gambeson.store.migrate import move, version
from gambeson.store.restore import restore_databases
from gambeson.store.urls import CONTROL_FILE, EVENTS_FILE, locate

from .keeper_child import open_keeper_keys
from .place import Place

BY = "gambeson up"
_FIRST = {"instance", "gambeson.toml"}  # what may lie in a data directory before there is an installation


def prepare_data(place: Place, worker: str) -> None:
    """Make the data directory (ours, 0700; as root 0710 for the group of ``worker``, which gets the folder of the
    databases), and move the databases of an earlier version. Raises RunError."""
    ids = user_ids(worker) if worker and os.geteuid() == 0 else None
    try:
        place.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        earlier = os.path.lexists(place.earlier_control)
        if earlier and held(place.data):
            raise RunError(f"gambeson already runs on {place.data}; stop it first or name another --data")
        # Made by hand, perhaps wider: what is written here is nobody else's to read. A folder that holds other
        # things is somebody's, and stays as it is.
        fresh = {each.name for each in place.data.iterdir()} <= _FIRST
        if os.geteuid() == 0 and not fresh:
            _not_somebody_elses(place.data, ids)  # the worker's: as an earlier version had it
        if fresh or earlier or place.control.exists() or place.keeper.is_dir():
            close_folder(place.data, ids)
        elif ids is not None and not _passes(place.data.stat(), *ids):
            raise RunError(
                f"{place.data} holds other things and is closed to {worker}; name an empty folder with --data"
            )
        if earlier:
            _move_store(place, ids)
        for folder in (place.tls, place.backups, place.keeper):
            own_folder(folder)
        own_folder(place.store, ids)
    except OSError as error:
        raise RunError(
            f"the data directory {place.data} cannot be used: {error.strerror}; name another with --data"
        ) from None


def _not_somebody_elses(data: Path, worker: tuple[int, int] | None) -> None:
    if data.stat().st_uid not in (0, *(worker or ())[:1]):
        raise RunError(
            f"{data} belongs to somebody else; name another with --data, or run: chown root {data}"
        )


def _move_store(place: Place, worker: tuple[int, int] | None) -> None:
    """An earlier version had the databases in the data directory itself. Nothing has them open; they are moved with
    their journals, the control database last, so that a move that was cut short goes on at the next start."""
    if place.control.exists():
        raise RunError(f"{place.earlier_control} and {place.control} are both there; move one of them away")
    names = [
        f"{name}{end}" for name in (EVENTS_FILE, CONTROL_FILE) for end in ("-journal", "-wal", "-shm", "")
    ]
    found = [place.data / name for name in names if os.path.lexists(place.data / name)]
    for path in found:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            raise RunError(f"{path} is a link or no file; move it away")
    own_folder(place.store, worker)
    if worker is not None and os.path.lexists(place.playground):
        own_folder(place.playground, worker)
        close_folder(place.playground, worker)
    for path in found:
        path.rename(place.store / path.name)


def closed_to(data: Path, user: str) -> Path | None:
    """The first folder above ``data`` that ``user`` may not pass through; None where the way is open."""
    uid, gid = user_ids(user)
    for folder in reversed(data.parents):
        try:
            found = folder.stat()
        except OSError:
            return None  # it is not there yet; it will be made by us
        if not _passes(found, uid, gid):
            return folder
    return None


def _passes(folder: os.stat_result, uid: int, gid: int) -> bool:
    bit = 0o100 if folder.st_uid == uid else 0o010 if folder.st_gid == gid else 0o001
    return bool(folder.st_mode & bit)


def check_certificates(config: Config) -> None:
    """Certificate and key of each name, before anything starts. Raises RunError."""
    tls = config.tls
    pairs = [(tls.certificate, tls.key)] if tls.certificate else []
    for certificate, key in (*pairs, *((each.certificate, each.key) for each in tls.name)):
        for path in (certificate, key):
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise RunError(
                    f"{path} cannot be read ({error.strerror}); correct the path in [tls]"
                ) from None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_passphrase)
        except (ssl.SSLError, ValueError):
            raise RunError(
                f"the certificate {certificate} and the key {key} cannot be used together; both must be PEM, the key "
                "the certificate's own and without a passphrase"
            ) from None


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def hand_over(place: Place, users: Mapping[str, str]) -> None:
    """As root: give each file to the process that works with it. Keys and certificates stay root's: they are opened
    before rights are given up."""
    if os.geteuid() != 0 or "worker" not in users:
        return
    worker = user_ids(users["worker"])
    for name in (CONTROL_FILE, EVENTS_FILE):
        for path in place.store.glob(f"{name}*"):
            give_file(path, worker)
    if place.playground.is_dir():
        own_folder(place.playground)
        close_folder(place.playground, worker)
        own_folder(place.playground_mail, worker)


def public_keys(place: Place, parameters: Mapping[str, Any]) -> None:
    """Open the keeper's keys (made at the first start) and write their public halves where doors and mail servers
    find them. Done in a process of its own, so that the supervisor never holds a key. Raises RunError."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        sentence = ""
        try:
            keys = open_keeper_keys(parameters, time.time())
            _write_public(place.token_key, keys.token_pem)
            _write_public(place.authority, keys.authority.pem)
        except (SealingError, SettingsError, OSError) as error:
            sentence = str(error)
        except BaseException as error:
            sentence = f"{type(error).__name__}: {error}"
        os.write(writer, sentence.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        sentence = pipe.read().decode()
    os.waitpid(pid, 0)
    if sentence:
        raise RunError(f"the keeper's keys cannot be opened: {sentence}")


def _write_public(path: Path, text: str) -> None:
    if path.is_file() and path.read_text() == text:
        return
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), "w") as file:
        file.write(text)
    new.replace(path)


def remember_servers(place: Place, servers: Sequence[MailServer]) -> None:
    """Keep what the doors stand before, for the commands that look at it from outside the processes."""
    new = place.servers.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(tuple(servers)))
    new.replace(place.servers)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What the store was before its upgrade: the backup, and the schema version of each lineage."""

    backup: Path
    versions: Mapping[str, str]


def open_store(place: Place, url: str) -> tuple[Store, Upgrade | None]:
    """The store, upgraded where its schema is older: a backup is taken first, and what was before returned.
    Raises RunError, also where an earlier version runs on it: nothing is upgraded beneath that."""
    try:
        try:
            exists = not url.startswith("sqlite") or place.control.exists()
            return Store.open(url, migrate=not exists), None
        except SchemaOlder:
            if held(place.data):
                raise RunError(
                    f"gambeson already runs on {place.data}; stop it before you upgrade it"
                ) from None
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            names = [f"before-upgrade-{stamp}{more}.zip" for more in ("", *(f"-{n}" for n in range(2, 100)))]
            target = place.backups / next(n for n in names if not (place.backups / n).exists())
            with Store(*open_databases(locate(url), create=False, timeout=5.0)) as old:
                found = {}
                for lineage, database in (("control", old.control), ("events", old.event_database)):
                    with database.read(EVERYWHERE) as conn:
                        found[lineage] = version(conn, lineage)
                empty = not found["control"]  # a new PostgreSQL database: nothing to lose
                if not empty:
                    backup(old, target, at=time.time())
            upgrade = None if empty else Upgrade(target, found)
            try:
                return Store.open(url), upgrade
            except (StoreError, SQLAlchemyError, OSError) as error:
                if upgrade is None:
                    raise RunError(f"the store cannot be made: {_brief(error)}", 3) from None
                raise RunError(
                    f"the store cannot be upgraded ({_brief(error)}): {roll_back(place, url, upgrade).rstrip('.')}",
                    3,
                ) from None
    except StoreError as error:
        raise RunError(f"the store cannot be opened: {str(error).rstrip('.')}", 3) from None


def _brief(error: Exception) -> str:
    """One line: SQLAlchemy's own text has the statement in it."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0].rstrip(".")


def roll_back(place: Place, url: str, upgrade: Upgrade) -> str:
    """After an upgrade with which it did not start: the store as it was before, so that the earlier version runs
    again. SQLite comes from the backup; PostgreSQL, which others may use as well, is migrated down. A sentence."""
    try:
        if held(place.data):  # somebody else's by now
            raise RunError("another gambeson runs")
        if url.startswith("sqlite"):
            restore_databases(upgrade.backup, place.store)  # all else stays where it is, as it is
        else:
            with Store(*open_databases(locate(url), create=False, timeout=5.0)) as store:
                for lineage, database in (("control", store.control), ("events", store.event_database)):
                    move(database, lineage, upgrade.versions[lineage] or "base")
    except (StoreError, RunError, SQLAlchemyError, OSError) as error:
        return (
            f"It did not start after the upgrade, and the store could not be put back ({_brief(error)}); the backup "
            f"from before is {upgrade.backup}."
        )
    return f"It did not start after the upgrade; the store is as it was before (backup: {upgrade.backup})."


def sample_organisation(place: Place, store: Store) -> dict[str, str]:
    """The playground's people, made once: address to password. The passwords open nothing at the mail doors; they
    are there to see the refusal with, and for the portal."""
    marker = place.playground_marker
    if marker.is_file():
        made: dict[str, str] = json.loads(marker.read_text())
        return made
    place.playground.mkdir(mode=0o700, exist_ok=True)
    now = time.time()
    try:  # a first start that was cut short left it behind
        organisation = store.organisation(sample.ORGANISATION)
    except NotFound:
        organisation = store.create_organisation(sample.ORGANISATION, domains=[sample.DOMAIN], by=BY, at=now)
    passwords = {}
    there = {account.address for account in organisation.accounts.list()}
    for person in sample.PEOPLE:
        if person.address not in there:
            organisation.accounts.create(person.address, aliases=person.aliases, by=BY, at=now)
        passwords[person.address] = secrets.token_urlsafe(9)
    new = marker.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        json.dump(passwords, file)
    new.replace(marker)
    return passwords
