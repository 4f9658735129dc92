"""``gambeson up``: from settings (or from none) to doors that stand, in one process that then only supervises."""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gambeson import __version__
from gambeson.model.access import Listener
from gambeson.playground import sample
from gambeson.process.family import CONSOLE, PLAYGROUND, WORKER
from gambeson.process.listen import Listen, bind
from gambeson.process.privileges import PrivilegeError
from gambeson.process.run_directory import RunDirectory, RunError
from gambeson.process.supervisor import Plan, Supervisor
from gambeson.settings import Config, SettingsError

from . import setup
from .console_plan import console_origin
from .edge import edge_listens
from .engines import decision_listens
from .first_owner import first_link
from .place import Place
from .plan import (
    PLAYGROUND_USERS,
    Planner,
    Playground,
    configured_listens,
    configured_users,
    loopback_listens,
)
from .plan import store_url as url_of
from .sample_people import SamplePeople, sample_people
from .web_plan import portal_listens
from .worker_child import with_password

FIRST_PORTS = (11143, 12143, 13143, 14143)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for. ``config`` None: no settings file, so the playground. ``read`` reads the
    settings again (for a reload). ``servers_given``: mail servers came on the command line."""

    data: Path
    config: Config | None
    read: Callable[[], Config | None]
    ports_from: int = 0
    with_servers: Config | None = None
    own_first_ports: bool = True
    config_file: str = ""


def run(
    wish: Wish,
    told: Callable[[str], None],
    stood: Callable[[dict[str, object]], None] = lambda document: None,
) -> int:
    """Start and supervise until told to stop; the exit status. ``told`` gets what a person should read, ``stood`` the
    document of ``ready.json`` once everything answers. Raises RunError, SettingsError."""
    os.umask(0o077)  # whatever we were started with: no file of ours is born readable by others
    place = Place(wish.data.absolute())
    planner = _planner(place, wish)
    setup.check_certificates(planner.config)
    setup.check_country_table(planner.config)
    setup.check_clouds(planner.config)
    setup.prepare_data(place, planner.users.get(WORKER, ""))
    # Before anything else: one that was killed left its ready.json, and nothing may be done beneath one that runs.
    RunDirectory(place.data).close()
    setup.public_keys(place, planner.keeper_parameters())
    url = with_password(url_of(place, planner.config), planner.store_password())
    store, upgrade = setup.open_store(place, url, keep=planner.config.store.keep_upgrade_backups)
    stands: _Stands | None = None
    code = 1
    try:
        passwords: dict[str, str] = {}
        with store:
            if planner.playground is not None:
                passwords = planner.passwords = setup.sample_organisation(place, store)
            token = first_link(store, by=setup.BY, at=time.time())
        setup.remember_servers(place, planner.servers, planner.sites)
        setup.hand_over(place, planner.users)
        if upgrade is not None:
            told(f"The store was upgraded; the backup from before is {upgrade.backup}.")
        stands = _Stands(place, planner, passwords, url, token, told, stood)
        supervisor = Supervisor(planner.plan(), on_ready=stands.ready, reload=lambda: _reload(planner, wish))
        code = supervisor.run()
    finally:
        if code and upgrade is not None and not (stands is not None and stands.stood):
            told(setup.roll_back(place, url, upgrade))
    return code


def _planner(place: Place, wish: Wish) -> Planner:
    if wish.config is not None:
        web = bool(wish.config.portal.host)
        given = loopback_listens(wish.ports_from, wish.config.servers, web) if wish.ports_from else ()
        instance = _instance(place)
        listens = _settled(given or configured_listens(wish.config)) + _beside(wish.config, instance)
        users = configured_users(wish.config) if os.geteuid() == 0 else {}
        try:
            closed = setup.closed_to(place.data, users[WORKER]) if users else None
        except PrivilegeError as error:
            raise RunError(str(error)) from None
        if closed is not None:
            raise RunError(
                f"the user {users[WORKER]} cannot reach the data directory {place.data}, because {closed} is closed to "
                f"it; open that folder (chmod o+x {closed}) or name another with --data"
            )
        if not wish.config.servers and not wish.config.sites:
            raise RunError(
                "the settings name no [[server]] and no [[site]] to stand before; add one, or run without settings"
            )
        return Planner(
            place, wish.config, listens, users=users, instance=instance, config_file=wish.config_file
        )
    config = wish.with_servers or Config()
    instance = _instance(place)
    playground = Playground(instance, embedded=wish.with_servers is None)
    listens = _settled(loopback_listens(wish.ports_from or _free_ports(), config.servers, web=True))
    listens += portal_listens(instance)
    return Planner(place, config, listens, playground, _playground_users(place), instance)


def _settled(listens: tuple[Listen, ...]) -> tuple[Listen, ...]:
    """With a port where https and console would take any: their addresses must be known before anything starts. Raises
    RunError."""
    out = []
    for each in listens:
        if each.name.partition("#")[0] in ("https", CONSOLE) and not each.port:
            with bind(each) as probe:
                each = replace(each, port=probe.getsockname()[1])
        out.append(each)
    return tuple(out)


def _beside(config: Config, instance: str) -> tuple[Listen, ...]:
    """The Unix sockets: of an edge, and of the portal."""
    beside = edge_listens(config) + decision_listens(config)
    return beside + (portal_listens(instance) if config.portal.host else ())


def _playground_users(place: Place) -> dict[str, str]:
    """Whom the playground's processes become when root starts it. Worker, console and mail server work with files by
    path: where the way to the data directory is closed to everybody else, these stay who they are."""
    if os.geteuid() != 0:
        return {}
    closed = setup.closed_to(place.data, PLAYGROUND_USERS[WORKER])
    if closed is None:
        return dict(PLAYGROUND_USERS)
    to_stderr(
        f"{closed} is closed to other users, so worker, console and mail server of the playground run as root."
    )
    return {
        role: user for role, user in PLAYGROUND_USERS.items() if role not in (WORKER, CONSOLE, PLAYGROUND)
    }


def _instance(place: Place) -> str:
    """A name for the playground's sockets that is this data directory's own, and no other's. Raises RunError."""
    path = place.data / "instance"
    try:
        place.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(path, flags, 0o600), "w") as new:
                new.write(secrets.token_hex(8))
        except FileExistsError:
            pass
        # O_NONBLOCK: a pipe laid there does not hold us up
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with open(os.open(path, flags), "rb") as file:
            name = file.read(64) or b""
    except OSError as error:
        raise RunError(
            f"the data directory {place.data} cannot be used: {error.strerror}; name another with --data"
        ) from None
    if not re.fullmatch(rb"[0-9a-f]{16}", name):
        raise RunError(f"{path} is not what Gambeson wrote there; remove it")
    return name.decode()


def _free_ports() -> int:
    """The first of the usual port ranges that is wholly free; 0 (any ports) where none is."""
    for first in FIRST_PORTS:
        bound: list[socket.socket] = []
        try:
            bound.extend(bind(listen) for listen in loopback_listens(first, web=True))
        except RunError:
            continue
        else:
            return first
        finally:
            for sock in bound:
                sock.close()
    return 0


def _reload(planner: Planner, wish: Wish) -> Plan:
    """The plan after the settings were read again. Raises ValueError with a sentence."""
    try:
        config = wish.read()
    except SettingsError as error:
        raise ValueError(str(error)) from None
    if config is not None and wish.config is not None:
        planner.config = config
        if not wish.ports_from:
            planner.listens = _settled(configured_listens(config)) + _beside(config, planner.instance)
    try:
        return planner.plan()
    except OSError as error:
        raise ValueError(f"no certificate could be made: {error.strerror}") from None


class _Stands:
    """Called once everything answers: writes ``ready.json`` and tells the person."""

    def __init__(
        self,
        place: Place,
        planner: Planner,
        passwords: Mapping[str, str],
        url: str,
        token: str,
        told: Callable[[str], None],
        show: Callable[[dict[str, object]], None],
    ) -> None:
        self.stood = False
        self._show = show
        self._place, self._planner, self._passwords, self._url, self._told = (
            place,
            planner,
            passwords,
            url,
            told,
        )
        self._token = token

    def ready(self, addresses: Mapping[str, tuple[str, int]], run: RunDirectory) -> None:
        """Everything answers."""
        self.stood = True
        people = SamplePeople((), {})
        if self._planner.playground is not None:
            people = sample_people(self._place, self._url, self._passwords)
        document = self._document(addresses, people)
        run.write_ready(document)
        self._show(document)
        self._tell(addresses, people)

    def _document(self, addresses: Mapping[str, tuple[str, int]], people: SamplePeople) -> dict[str, object]:
        devices, totp = people.devices, people.totp
        doors = {
            each.value: _shown(addresses[each.value]) if each.value in addresses else None
            for each in Listener
        }
        console = self._console(addresses)
        portal = self._planner.portal
        playground = None
        if self._planner.playground is not None:
            accounts = [
                {"address": a, "password": p, "totp": totp.get(a)} for a, p in self._passwords.items()
            ]
            playground = {"domain": sample.DOMAIN, "accounts": accounts, "devices": devices}
        return {
            "version": __version__,
            "console": console,
            "admin_link": self._admin_link(console),
            "doors": doors,
            "https_host": self._https_host(),
            "portal": portal.origin if portal is not None else None,
            "ca": str(self._place.tls / "ca.pem") if not self._planner.config.tls.certificate else None,
            "pid": os.getpid(),
            "playground": playground,
        }

    def _console(self, addresses: Mapping[str, tuple[str, int]]) -> str | None:
        """The console's origin; None where it does not listen."""
        if CONSOLE not in addresses:
            return None
        return console_origin(self._planner) or None

    def _admin_link(self, console: str | None) -> str | None:
        """The link that binds the first owner's passkey; None where an owner has one."""
        return f"{console}/welcome/{self._token}" if console and self._token else None

    def _https_host(self) -> str | None:
        """The first application's public name."""
        return next((host for site in self._planner.sites for host in site.hosts), None)

    def _tell(self, addresses: Mapping[str, tuple[str, int]], people: SamplePeople) -> None:
        lines = ["The doors stand:"]
        lines += [f"  {name:<12} {_shown(address)}" for name, address in addresses.items() if name != CONSOLE]
        console = self._console(addresses)
        if console:
            lines.append(f"  console      {console}")
        if self._planner.playground is not None:
            lines += self._playground_lines(people)
        link = self._admin_link(console)
        if link:
            lines += [
                "The console has no owner yet. Make a passkey with this link, which works once:",
                f"  {link}",
            ]
        lines.append(f"Written to {self._place.run / 'ready.json'}. Stop with Ctrl-C.")
        self._told("\n".join(lines))

    def _playground_lines(self, people: SamplePeople) -> list[str]:
        playground = self._planner.playground
        if playground is not None and not playground.embedded:
            return [
                "",
                f"Behind the doors stands your own mail server, where the people of {sample.DOMAIN} have no mailbox.",
                "Your own: ./gambeson org add NAME --domain DOMAIN, ./gambeson account add ADDRESS,",
                "./gambeson device enrol ADDRESS --name Phone --doors imap,submission",
                f"Trust this certificate authority in the mail program: {self._place.tls / 'ca.pem'}",
                "",
            ]
        lines = ["", "This is the playground, for trying things out on this machine only. Its people:"]
        lines += [f"  {address:<30} password {password}" for address, password in self._passwords.items()]
        lines += [f"  {address:<30} one-time codes {text}" for address, text in people.totp.items()]
        for device in people.devices:
            lines.append(
                f"  {device['address']:<30} device   {device['secret']}  ({device['name']}, {device['state']})"
            )
        portal = self._planner.portal
        if portal is not None:
            mail = portal.beside(self._https_host() or portal.host)
            lines += [
                f"In a browser: https://{mail}/owa/ leads to the portal {portal.origin}/, which asks for the password",
                "and a one-time code. Behind it stands an Exchange emulator, which is no Exchange.",
                "A first second factor: ./gambeson account code chiara@playground.example",
            ]
        lines += [
            "A mail program with the password is refused; with the device secret it reads and sends mail.",
            "A device of your own: ./gambeson device enrol bruno@playground.example --name Phone "
            "--doors imap,submission",
            f"Trust this certificate authority in the mail program: {self._place.tls / 'ca.pem'}",
            "",
        ]
        return lines


def _shown(address: tuple[str, int]) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def to_stderr(text: str) -> None:
    """What a person should read, apart from the answer on standard output."""
    print(text, file=sys.stderr, flush=True)
