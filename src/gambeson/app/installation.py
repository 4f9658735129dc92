"""The command line's way into an installation: store, organisation, keeper, worker.

While it runs, keeper and worker are asked over their sockets in ``run/``. While it is stopped, the keeper's answers
come from its keys opened in this very process, for as long as the command takes, and there are no doors to tell.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from gambeson.guard.core.identify import only_domain
from gambeson.model.address import canonical_domain
from gambeson.model.server import MailServer
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.model.web import Site
from gambeson.process.call import NobodyThere
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.keeper_client import AdminKeeper
from gambeson.process.worker_client import AdminWorker
from gambeson.settings import Config
from gambeson.store.control import Store
from gambeson.store.errors import NotFound, StoreError
from gambeson.store.tenant import OrganisationStore

from .place import Place
from .plan import Planner, store_url

PUBLISH_SECONDS = 1.0
T = TypeVar("T")


class InstallationError(Exception):
    """It cannot be used. One sentence; ``code`` is the exit status."""

    def __init__(self, sentence: str, code: int = 2) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Told:
    """Who acts on a change: ``number`` of the snapshot (0: nothing runs), ``missing`` doors that did not say so."""

    number: int = 0
    acknowledged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass
class Installation:
    """One data directory and its settings. Open it with :func:`opened`."""

    place: Place
    config: Config
    store: Store
    who: str
    _sockets: list[socket.socket] = field(default_factory=list)

    def organisation(self, name: str | None) -> OrganisationStore:
        """The organisation named, or the only one. Raises InstallationError."""
        if name:
            return self.store.organisation(name)
        everyone = self.store.organisations()
        if len(everyone) == 1:
            return self.store.organisation(everyone[0].id)
        if not everyone:
            raise InstallationError(
                "There is no organisation yet: make one with gambeson org add NAME --domain DOMAIN."
            )
        names = ", ".join(o.name for o in everyone[:20])
        raise InstallationError(f"Say which organisation with --org; there are {names}.")

    def organisation_of(self, address: str, name: str | None) -> OrganisationStore:
        """The organisation that answers for an address's domain, or the one named. Raises InstallationError."""
        domain = address.rpartition("@")[2]
        if name or not domain:
            return self.organisation(name)
        try:
            domain = canonical_domain(domain)
        except ValueError as error:
            raise InstallationError(str(error)) from None
        for organisation in self.store.organisations():
            if domain in organisation.domains:
                return self.store.organisation(organisation.id)
        raise InstallationError(f"No organisation answers for {domain}: add it with gambeson org domain add.")

    def bare_names(self) -> str:
        """The domain that a login name without one is completed with; empty where such names are refused."""
        everyone = Snapshot(0, 0.0, organisations=tuple(self.store.organisations()))
        return self.config.doors.default_domain or only_domain(SnapshotIndex(everyone))

    @property
    def running(self) -> bool:
        """Whether ``gambeson up`` runs on this data directory."""
        try:
            self.worker.health()
        except NobodyThere:
            return False
        except ChannelGone:
            return True  # it stands still, or is being started again
        return True

    @cached_property
    def worker(self) -> AdminWorker:
        """The worker, where it runs."""
        return AdminWorker(self.place.run / "worker.sock")

    @cached_property
    def keeper(self) -> AdminKeeper:
        """The keeper: the running one, else its keys opened here. Raises InstallationError."""
        running = AdminKeeper(self.place.run / "keeper.sock")
        try:
            running.public_keys()
        except ChannelGone:
            return AdminKeeper(self._own_keeper())
        return running

    def _own_keeper(self) -> socket.socket:
        from gambeson.process.sealing import SealingError
        from gambeson.settings import SettingsError

        from .keeper_child import open_keeper_keys, serve_administrator

        parameters = Planner(self.place, self.config, ()).keeper_parameters()
        try:
            keys = open_keeper_keys(parameters, time.time())
        except (SealingError, SettingsError, OSError) as error:
            raise InstallationError(
                f"The keeper does not run, and its keys do not open here: {error}."
            ) from None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        threading.Thread(target=serve_administrator, args=(keys, theirs), daemon=True).start()
        self._sockets.append(ours)
        return ours

    def snapshot(self) -> SnapshotIndex:
        """The store as it is now, as a door would get it. Its number is 0: nobody published it."""
        from .publishing import build_snapshot

        now = time.time()
        url = self.config.organisation.enrolment_url
        parts = self.store.load_snapshot_parts(now)
        made, _ = build_snapshot(parts, self.servers(), 0, now, url, self.sites())
        return SnapshotIndex(made)

    def servers(self) -> tuple[MailServer, ...]:
        """The mail servers behind the doors: the settings', else those that the last ``up`` was given or brought."""
        return self.config.servers or _remembered(self.place.servers, MailServer)

    def sites(self) -> tuple[Site, ...]:
        """The web applications behind the https door, likewise."""
        return self.config.sites or _remembered(self.place.sites, Site)

    def tell(self) -> Told:
        """Have every door act on the store as it is now, within a second; nothing to do where nothing runs."""
        try:
            done = self.worker.publish(PUBLISH_SECONDS)
        except NobodyThere:
            self._seal()
            return Told()
        except ChannelGone:
            return Told(missing=("worker",))  # nobody knows what the doors hold: they may still admit
        return Told(done.number, done.acknowledged, done.missing)

    def _seal(self) -> None:
        """Nothing runs: sign the audit log's head here, where the keeper's keys can be opened; else the worker does it
        when it runs again."""
        with suppress(InstallationError, ChannelGone, ChannelRefused):
            self.store.audit.seal(self.keeper.sign, time.time())


@contextmanager
def opened(data: Path, config: Config) -> Iterator[Installation]:
    """The installation in a data directory. Raises InstallationError where there is none."""
    place = Place(data)
    url = store_url(place, config)
    try:
        missing = url.startswith("sqlite") and not place.control.is_file()
        earlier = missing and place.earlier_control.is_file()
    except OSError as error:
        raise InstallationError(
            f"The data directory {data} cannot be used: {error.strerror}; run this as its owner or name another with "
            "--data.",
            3,
        ) from None
    if missing:
        if earlier:
            raise InstallationError(
                f"The store in {data} is an earlier version's: start gambeson up once.", 3
            )
        raise InstallationError(
            f"There is no installation in {data}: start one with gambeson up, or name another with --data.", 3
        )
    from .worker_child import with_password

    password = Planner(place, config, ()).store_password() if config.store.password else ""
    try:
        store = Store.open(with_password(url, password), migrate=False)
    except StoreError as error:
        raise InstallationError(str(error), 3) from None
    with store:
        installation = Installation(place, config, store, actor())
        try:
            yield installation
        except NotFound as error:
            raise InstallationError(str(error)) from None
        except StoreError as error:
            raise InstallationError(str(error), error_code(error)) from None
        finally:
            for sock in installation._sockets:
                sock.close()


def _remembered(path: Path, kind: type[T]) -> tuple[T, ...]:
    """What the last ``up`` wrote there; nothing where it never ran. Raises InstallationError."""
    if not path.is_file():
        return ()
    try:
        return tuple(msgspec.json.decode(path.read_bytes(), type=list[kind]))  # type: ignore[valid-type]
    except (OSError, msgspec.MsgspecError):
        raise InstallationError(f"{path} cannot be read; start gambeson up once.", 3) from None


def error_code(error: StoreError) -> int:
    """2 for what was asked wrongly, 3 for what could not be reached."""
    return 2 if error.usage else 3


def actor() -> str:
    """Who acts, for the audit log: the user, and who became root by sudo."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    sudo = os.environ.get("SUDO_USER", "")
    return f"{sudo} as {user}" if sudo and sudo != user else user
