"""Before anything runs: the data directory, the keeper's keys and their public halves, the store and its upgrade, and
on the first run without settings the sample organisation.

The data directory is the starter's. As root the worker's user may pass through it to the folders that it owns.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import ssl
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from gambeson.guard.core.clouds import CloudError
from gambeson.guard.edge.clouds import read_clouds
from gambeson.guard.edge.countries import CountryTable, CountryTableError
from gambeson.model.server import MailServer
from gambeson.model.web import Site
from gambeson.playground import sample
from gambeson.process.privileges import user_ids
from gambeson.process.run_directory import RunError, close_folder, give_file, held, own_folder
from gambeson.process.sealing import SealingError
from gambeson.process.whole_file import write_whole
from gambeson.settings import Config, SettingsError
from gambeson.store.backup import backup
from gambeson.store.control import Store
from gambeson.store.engine import EVERYWHERE, open_databases
from gambeson.store.errors import NotFound, SchemaOlder, StoreError
from gambeson.store.migrate import version
from gambeson.store.restore import put_back_postgresql, restore_databases
from gambeson.store.urls import CONTROL_FILE, EVENTS_FILE, locate

from .keeper_child import open_keeper_keys
from .place import Place

BY = "gambeson up"
_UPGRADE_BACKUP = re.compile(r"before-upgrade-(\d{8}T\d{6}Z)(?:-(\d+))?\.zip")
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


def check_country_table(config: Config) -> None:
    """It can be used, before anything starts. Raises RunError."""
    if config.doors.country_table:
        try:
            CountryTable(config.doors.country_table)
        except CountryTableError as error:
            raise RunError(str(error).removesuffix(".")) from None


def check_clouds(config: Config) -> None:
    """The files of cloud services can be used, before anything starts. Raises RunError."""
    try:
        read_clouds(config.doors.clouds)
    except CloudError as error:
        raise RunError(str(error).removesuffix(".")) from None


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
    write_whole(path, text, mode=0o644)


def remember_servers(place: Place, servers: Sequence[MailServer], sites: Sequence[Site] = ()) -> None:
    """Keep what the doors stand before, for the commands that look at it from outside the processes."""
    write_whole(place.servers, msgspec.json.encode(tuple(servers)))
    write_whole(place.sites, msgspec.json.encode(tuple(sites)))


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What the store was before its upgrade: the backup, and the schema version of each lineage."""

    backup: Path
    versions: Mapping[str, str]


def open_store(
    place: Place, url: str, *, keep: int = 5, more_migrations: Mapping[str, Path] = MappingProxyType({})
) -> tuple[Store, Upgrade | None]:
    """The store, upgraded where its schema is older: a backup is taken first (of such backups the newest ``keep``
    stay), and what was before returned. ``more_migrations`` as for :meth:`Store.open`. Raises RunError, also where an
    earlier version runs on it: nothing is upgraded beneath that."""
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
                found = _versions(old)
                empty = not found["control"]  # a new PostgreSQL database: nothing to lose
                if not empty:
                    backup(old, target, at=time.time())
                    prune_backups(place, target, keep)
            upgrade = None if empty else Upgrade(target, found)
            try:
                return Store.open(url, more_migrations=more_migrations), upgrade
            except (StoreError, SQLAlchemyError, OSError) as error:
                if upgrade is None:
                    raise RunError(f"the store cannot be made: {_brief(error)}", 3) from None
                raise RunError(
                    f"the store cannot be upgraded ({_brief(error)}): {roll_back(place, url, upgrade).rstrip('.')}",
                    3,
                ) from None
    except StoreError as error:
        raise RunError(f"the store cannot be opened: {str(error).rstrip('.')}", 3) from None


def _versions(store: Store) -> dict[str, str]:
    found = {}
    for lineage, database in (("control", store.control), ("events", store.event_database)):
        with database.read(EVERYWHERE) as conn:
            found[lineage] = version(conn, lineage)
    return found


def prune_backups(place: Place, newest: Path, keep: int) -> None:
    """Of the backups that upgrades took, only ``newest`` and the ``keep`` - 1 before it stay; whatever has another name
    is a person's. What cannot be removed stays as well."""
    made = [path for path in place.backups.iterdir() if _UPGRADE_BACKUP.fullmatch(path.name)]
    earlier = sorted((path for path in made if path != newest), key=_turn, reverse=True)
    for path in earlier[max(0, keep - 1) :]:
        with suppress(OSError):
            path.unlink()


def _turn(path: Path) -> tuple[str, int]:
    """The time in the name, then the number of those made in the same second."""
    found = _UPGRADE_BACKUP.fullmatch(path.name)
    return (found[1], int(found[2] or 1)) if found else ("", 0)


def _brief(error: Exception) -> str:
    """One line: SQLAlchemy's own text has the statement in it."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0].rstrip(".")


def roll_back(place: Place, url: str, upgrade: Upgrade) -> str:
    """After an upgrade with which it did not start: the store as it was before, so that the earlier version runs
    again. It comes from the backup, on PostgreSQL in one transaction and only Gambeson's own tables. A sentence."""
    try:
        if held(place.data):  # somebody else's by now
            raise RunError("another gambeson runs")
        if url.startswith("sqlite"):
            restore_databases(upgrade.backup, place.store)  # all else stays where it is, as it is
        else:
            with Store(*open_databases(locate(url), create=False, timeout=5.0)) as store:
                untouched = _versions(store) == upgrade.versions  # the migration took itself back
            if not untouched:
                put_back_postgresql(upgrade.backup, url)
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
    write_whole(marker, json.dumps(passwords))
    return passwords
