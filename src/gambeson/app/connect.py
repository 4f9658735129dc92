"""``gambeson connect``: put the doors before one's own mail server.

Looks at what the mail server offers (never signing in), proposes how the doors sign in to it, writes a settings file,
and makes the organisation with its accounts. Everything is checked before anything is written; what is there already
is never overwritten unless one says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gambeson.guard.edge.tls import TlsError, server_context
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, SignIn, UpstreamTls
from gambeson.process.family import WORKER
from gambeson.process.privileges import PrivilegeError, user_ids
from gambeson.process.run_directory import RunError
from gambeson.process.whole_file import write_whole
from gambeson.settings import Config, SettingsError, loads
from gambeson.settings.servers import address_text, loopback
from gambeson.store.errors import StoreError

from . import setup
from .connect_accounts import Person
from .doctor.mail_servers import TOKENS, missing
from .doctor.probe import Answer, ProbeError, ask
from .place import Place
from .plan import Planner, configured_users, store_url
from .worker_child import with_password

SCHEMES = {DoorKind.IMAP: "imap", DoorKind.POP3: "pop3", DoorKind.SUBMISSION: "smtp", DoorKind.SIEVE: "sieve"}
# What is tried on a host, the better first.
USUAL = (
    (DoorKind.IMAP, 993, UpstreamTls.IMPLICIT),
    (DoorKind.IMAP, 143, UpstreamTls.STARTTLS),
    (DoorKind.POP3, 995, UpstreamTls.IMPLICIT),
    (DoorKind.POP3, 110, UpstreamTls.STARTTLS),
    (DoorKind.SUBMISSION, 465, UpstreamTls.IMPLICIT),
    (DoorKind.SUBMISSION, 587, UpstreamTls.STARTTLS),
    (DoorKind.SIEVE, 4190, UpstreamTls.STARTTLS),
)
LISTEN = {
    DoorKind.IMAP: (("imap", 143), ("imaps", 993)),
    DoorKind.POP3: (("pop3", 110), ("pop3s", 995)),
    DoorKind.SUBMISSION: (("submission", 587), ("submissions", 465)),
    DoorKind.SIEVE: (("sieve", 4190),),
}


class ConnectError(Exception):
    """It cannot be connected so. One sentence; ``code`` is the exit status."""

    def __init__(self, sentence: str, code: int = 2) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Found:
    """What one address of the mail server said; ``problem`` where it did not."""

    endpoint: Endpoint
    answer: Answer | None = None
    problem: str = ""

    @property
    def address(self) -> str:
        """As it stands in the settings file."""
        return address_text(self.endpoint, SCHEMES[self.endpoint.door])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person decided. Texts as they stand in the settings file; empty: left out."""

    name: str
    domains: tuple[str, ...]
    hostname: str
    endpoints: tuple[Endpoint, ...]
    sign_in: SignIn
    listen: str = "0.0.0.0"  # noqa: S104 - the doors are for the internet
    certificate: str = ""
    key: str = ""
    options: dict[str, str | bool] = field(default_factory=dict)


def candidates(host: str) -> tuple[Endpoint, ...]:
    """The usual addresses on a host."""
    return tuple(Endpoint(door, host=host, port=port, tls=tls) for door, port, tls in USUAL)


def look(
    endpoints: Sequence[Endpoint], seconds: float = 5.0, told: Callable[[Found], None] = lambda _: None
) -> list[Found]:
    """Ask each address what it offers; per door the first that answers is taken. ``told`` hears of each as it comes."""
    found: list[Found] = []
    for endpoint in endpoints:
        if any(each.endpoint.door is endpoint.door and each.answer is not None for each in found):
            continue
        try:
            each = Found(endpoint, ask(endpoint, seconds))
        except ProbeError as error:
            each = Found(endpoint, problem=str(error))
        told(each)
        found.append(each)
    return found


def untrusted(found: Sequence[Found]) -> tuple[str, str]:
    """(why, SHA-256 for ``pin``) where certificates do not hold. The second is empty where they are several."""
    bad = [each.answer for each in found if each.answer is not None and each.answer.distrust]
    pins = {
        hashlib.sha256(each.answer.certificate).hexdigest()
        for each in found
        if each.answer and each.answer.certificate
    }
    return (bad[0].distrust if bad else "", pins.pop() if bad and len(pins) == 1 else "")


def propose(found: Sequence[Found], master: bool = False) -> tuple[SignIn, str]:
    """The way to sign in, and why."""
    answers = [each.answer for each in found if each.answer is not None]
    if master:
        return SignIn.MASTER, "you named a master user"
    if answers and all(answer.offers & TOKENS for answer in answers):
        return (
            SignIn.TOKEN,
            "every door of the mail server takes tokens: nothing else is as little worth stealing",
        )
    return (
        SignIn.SEALED,
        "not every door of the mail server takes tokens, so each account's password there is sealed",
    )


def lacks(found: Sequence[Found], way: SignIn) -> str:
    """Why this way cannot work; empty where it can."""
    for each in found:
        if each.answer is not None and (problem := missing(way, each.endpoint, each.answer)):
            return f"{each.address} {problem[0]}: {problem[1]}"
    return ""


def settings_text(wanted: Wanted, data: Path | None = None) -> str:
    """The settings file. ``data``: the data directory, where the file does not lie in it."""
    doors = {each.door for each in wanted.endpoints}
    host = f"[{wanted.listen}]" if ":" in wanted.listen else wanted.listen
    lines = [
        "# Written by gambeson connect. Every setting and what it does: docs/reference/settings.md.",
        *([f"data = {_toml(str(data))}"] if data is not None else []),
        "",
        "[listen]",
    ]
    for door, listeners in LISTEN.items():
        lines += [f"{name} = {_toml(f'{host}:{port}' if door in doors else '')}" for name, port in listeners]
    lines += ["", "[doors]", f"hostname = {_toml(wanted.hostname)}"]
    if len(wanted.domains) == 1:
        lines.append(f"default_domain = {_toml(wanted.domains[0])}")
    if wanted.certificate:
        lines += ["", "[tls]", f"certificate = {_toml(wanted.certificate)}", f"key = {_toml(wanted.key)}"]
    lines += ["", "[[server]]", f"name = {_toml('main')}"]
    for each in wanted.endpoints:
        lines.append(f"{each.door} = {_toml(address_text(each, SCHEMES[each.door]))}")
    lines.append(f"sign_in = {_toml(wanted.sign_in.value)}")
    lines += [f"{name} = {_toml(value)}" for name, value in wanted.options.items() if value]
    return "\n".join(lines) + "\n"


def _toml(value: str | bool) -> str:
    return json.dumps(value, ensure_ascii=False)  # a JSON string or truth value is TOML as well


def checked(text: str, path: Path) -> Config:
    """The settings as they will be read. Raises ConnectError."""
    try:
        return loads(text, str(path), path.absolute().parent)
    except SettingsError as error:
        raise ConnectError(str(error)) from None


def check_certificate(wanted: Wanted) -> None:
    """The doors' certificate and key can be used. Raises ConnectError."""
    if bool(wanted.certificate) != bool(wanted.key):
        raise ConnectError("A certificate needs its key: give both --certificate and --key.")
    if wanted.certificate:
        try:
            server_context(wanted.certificate, wanted.key)
        except TlsError as error:
            raise ConnectError(f"{error}; give --certificate and --key of one pair.") from None


def make(
    place: Place, path: Path, text: str, wanted: Wanted, people: Sequence[Person], *, force: bool, who: str
) -> None:
    """Write the settings, make keys and store, the organisation and its accounts. Raises ConnectError; before the
    organisation is made, nothing of an existing installation has changed."""
    config = checked(text, path)
    if path.exists() and not force:
        raise ConnectError(
            f"{path} is there already; name another with --config, or overwrite it with --force."
        )
    # Where the users are not there yet, "up" gives them their files once they are.
    users = {} if missing_users(config) else configured_users(config)
    try:
        setup.prepare_data(place, users.get(WORKER, ""))
        planner = Planner(place, config, ())
        setup.public_keys(place, planner.keeper_parameters())
        store, _ = setup.open_store(place, with_password(store_url(place, config), planner.store_password()))
    except RunError as error:
        raise ConnectError(f"Nothing was connected: {error}.", error.code) from None
    except SettingsError as error:
        raise ConnectError(str(error)) from None
    with store:
        now = time.time()
        if any(each.name.casefold() == wanted.name.casefold() for each in store.organisations()):
            raise ConnectError(
                f"There is an organisation {wanted.name} already; give another --name or --data."
            )
        _write(path, text, force)
        try:
            organisation = store.create_organisation(wanted.name, domains=wanted.domains, by=who, at=now)
            for person in people:
                organisation.accounts.create(
                    person.address, aliases=person.aliases, groups=person.groups, by=who, at=now
                )
        except StoreError as error:
            raise ConnectError(f"The settings are written, but not everything was made: {error}", 2) from None
    setup.hand_over(place, users)


def _write(path: Path, text: str, force: bool) -> None:
    """In one step, 0600."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text, replace=force)  # without force it fails where somebody made it meanwhile
    except OSError as error:
        raise ConnectError(
            f"{path} cannot be written: {error.strerror}; name another with --config.", 3
        ) from None


def missing_users(config: Config) -> list[str]:
    """The system users that a start as root needs and that are not there."""
    if os.geteuid() != 0:
        return []
    found = []
    for user in configured_users(config).values():
        try:
            user_ids(user)
        except PrivilegeError:
            found.append(user)
    return found


def steps(wanted: Wanted, path: Path, place: Place, accounts: int) -> list[str]:
    """What the person does now, in order."""
    options = f"--data {place.data}" if path == place.data / "gambeson.toml" else f"--config {path}"
    domain = wanted.domains[0]
    found = []
    if missing_users(Config()):
        found.append("Make the system users: systemd-sysusers examples/systemd/sysusers.d/gambeson.conf")
    if wanted.sign_in is SignIn.TOKEN:
        found.append(
            f"On the mail server: trust our tokens. The public key is {place.token_key}; the lines for Dovecot and "
            f"Postfix: gambeson guard export dovecot {options}"
        )
    elif wanted.sign_in is SignIn.MASTER:
        found.append(
            f"On the mail server: the master user must be allowed in from this machine only; the lines: "
            f"gambeson guard export dovecot {options}"
        )
    elif wanted.sign_in is SignIn.SEALED:
        found.append(
            "For each account: seal the password that the mail server wants: "
            f"gambeson account seal-password ADDRESS {options}"
        )
    if not accounts:
        found.append(f"Make the accounts: gambeson account add NAME@{domain} {options}")
    if any(loopback(each) for each in wanted.endpoints):
        found.append(
            "The mail server is on this machine: it must listen on 127.0.0.1 or other ports, or the ports clash."
        )
    if not wanted.certificate:
        found.append(f"Set tls.certificate and tls.key in {path} to a certificate for {wanted.hostname}.")
    found += [
        f"Start: gambeson up {options} (as a service: docs/production.md), then look: gambeson doctor {options}",
        f"Give everybody a device: gambeson device enrol NAME@{domain} --name Phone --doors imap,submission {options}",
        f"To begin without stopping anybody: gambeson guard mode all observe {options}; what people type goes on to "
        "the mail server. When gambeson guard ready names nobody any more: gambeson guard mode all enforce.",
        f"DNS: point {wanted.hostname} to this machine (lower its TTL to 300 the day before). MX stays as it is: mail "
        "from outside does not come in through these doors.",
        "Firewall: let the internet reach this machine's mail ports, and only this machine reach the mail server's.",
        f"Look for a way past the doors: gambeson guard walk {options}",
    ]
    return found


def way_back(wanted: Wanted) -> list[str]:
    """To go back in five minutes."""
    return [
        f"Point {wanted.hostname} back to the mail server in DNS (or the port forwarding of the firewall).",
        "Open the mail server's ports in the firewall again.",
        "Stop Gambeson: systemctl stop gambeson. Mail, passwords and mailboxes were never moved or changed.",
        "Only for a while, with the doors still there: gambeson guard open --for 2h --reason TEXT. Passwords then "
        "go on to the mail server as people type them.",
    ]


def with_options(endpoints: Sequence[Endpoint], **options: str) -> tuple[Endpoint, ...]:
    """The same addresses with ca, pin or server_name."""
    return tuple(replace(each, **options) for each in endpoints)  # type: ignore[arg-type]
