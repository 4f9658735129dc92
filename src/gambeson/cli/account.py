"""``gambeson account``: the mail accounts of an organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gambeson.model.asset import Account

    from . import Commands


def add(commands: Commands) -> None:
    """Declares ``account`` and what is below it."""
    group = commands.group("account", "the mail accounts")
    new = group.add("add", "make an account", run_add)
    new.add_argument("address", metavar="ADDRESS")
    _properties(new)
    change = group.add("set", "change an account; lists replace what was there", run_set)
    change.add_argument("address", metavar="ADDRESS")
    change.add_argument("--rename", metavar="ADDRESS", help="a new main address")
    _properties(change)
    group.add("list", "list the accounts", run_list)
    for name, summary, run in (
        ("disable", "shut an account out everywhere, and close its sessions", run_disable),
        ("enable", "let an account in again", run_enable),
        ("remove", "delete an account with its devices", run_remove),
    ):
        group.add(name, summary, run).add_argument("address", metavar="ADDRESS")
    password = group.add(
        "password",
        "set the local password (no mail door takes it alone: only beside a certificate)",
        run_password,
    )
    password.add_argument("address", metavar="ADDRESS")
    password.add_argument(
        "--password-file", metavar="FILE", help="read it there, not from the terminal; - is standard input"
    )
    sealed = group.add(
        "seal-password", "seal the password that the mail server wants (sign_in = sealed)", run_seal
    )
    sealed.add_argument("address", metavar="ADDRESS")
    sealed.add_argument(
        "--password-file", metavar="FILE", help="read it there, not from the terminal; - is standard input"
    )
    from . import account_factors

    account_factors.declare(group)


def _properties(parser: ArgumentParser) -> None:
    parser.add_argument("--alias", metavar="ADDRESS", action="append", help="may be repeated")
    parser.add_argument("--group", metavar="NAME", action="append", help="may be repeated")
    parser.add_argument("--source", choices=("local", "ldap"), help="where its password is checked")
    parser.add_argument(
        "--upstream-login", metavar="NAME", help="its name on the mail server, where it is another"
    )
    parser.add_argument("--server", metavar="NAME", help="the mail server it is on, where there are several")


def document(account: Account) -> dict[str, object]:
    """An account as JSON."""
    return {
        "id": account.id,
        "address": account.address,
        "aliases": list(account.aliases),
        "groups": list(account.groups),
        "enabled": account.enabled,
        "source": account.source.value,
        "upstream_login": account.upstream_login,
        "server": account.server,
        "sealed_password": bool(account.sealed_password),
    }


def _given(args: Namespace) -> dict[str, object]:
    names = {
        "alias": "aliases",
        "group": "groups",
        "source": "source",
        "upstream_login": "upstream_login",
        "server": "server",
    }
    return {field: value for name, field in names.items() if (value := getattr(args, name)) is not None}


def run_add(args: Namespace) -> int:
    """Makes an account."""
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        account = organisation.accounts.create(args.address, by=place.who, at=now(), **_given(args))  # type: ignore[arg-type]
        known, line, code = told(place.tell())
    emit(args, {**document(account), **known}, f"Account {account.address} is there. {line}".strip())
    return code


def run_set(args: Namespace) -> int:
    """Changes an account."""
    return _change(args, "was changed", address=args.rename, **_given(args))


def run_disable(args: Namespace) -> int:
    """Shuts an account out."""
    return _change(args, "is shut out", enabled=False)


def run_enable(args: Namespace) -> int:
    """Lets an account in again."""
    return _change(args, "may come in again", enabled=True)


def _change(args: Namespace, done: str, **changes: object) -> int:
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        found = organisation.accounts.find(args.address)
        account = organisation.accounts.update(found.id, by=place.who, at=now(), **changes)  # type: ignore[arg-type]
        known, line, code = told(place.tell())
    emit(args, {**document(account), **known}, f"{account.address} {done}. {line}".strip())
    return code


def run_remove(args: Namespace) -> int:
    """Deletes an account."""
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        account = organisation.accounts.find(args.address)
        organisation.accounts.delete(account.id, by=place.who, at=now())
        known, line, code = told(place.tell())
    emit(
        args,
        {"removed": document(account), **known},
        f"{account.address} is gone with its devices. {line}".strip(),
    )
    return code


def run_list(args: Namespace) -> int:
    """Lists the accounts."""
    from .common import emit
    from .shared import installation, table

    with installation(args) as place:
        found = place.organisation(args.org).accounts.list()
    rows = [
        [
            a.address,
            "" if a.enabled else "disabled",
            ", ".join(a.aliases),
            ", ".join(a.groups),
            a.source.value,
        ]
        for a in found
    ]
    emit(
        args,
        {"accounts": [document(a) for a in found]},
        table(rows, ["address", "", "aliases", "groups", "source"]),
    )
    return 0


def run_password(args: Namespace) -> int:
    """Sets the local password."""
    from gambeson.model.asset import IdentitySource

    from .common import CommandError, emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        account = organisation.accounts.find(args.address)
        if account.source is IdentitySource.LDAP:
            raise CommandError(
                f"The password of {account.address} is in the directory: change it there, or set --source local first."
            )
        hashed = place.keeper.hash_password(_password(args, minimum=8))
        organisation.accounts.set_password(account.id, hashed, by=place.who, at=now())
        known, line, code = told(place.tell())
    text = f"The password of {account.address} is set. {line}".strip()
    emit(args, {"address": account.address, "set": True, **known}, text)
    return code


def run_seal(args: Namespace) -> int:
    """Seals the mail server's password."""
    from gambeson.process.sealing import account_context

    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        account = organisation.accounts.find(args.address)
        box = place.keeper.seal(_password(args).encode(), account_context(account.organisation, account.id))
        organisation.accounts.seal_password(account.id, box, by=place.who, at=now())
        known, line, code = told(place.tell())
    emit(args, {"address": account.address, "sealed": True, **known}, f"Sealed. {line}".strip())
    return code


def _password(args: Namespace, minimum: int = 1) -> str:
    import getpass
    import sys
    from pathlib import Path

    from .common import CommandError, Exit

    if args.password_file == "-":  # noqa: S105 - standard input, not a password
        text = sys.stdin.readline()
    elif args.password_file:
        try:
            text = Path(args.password_file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{args.password_file} cannot be read: {error}.", Exit.UNREACHABLE) from None
    elif sys.stdin.isatty():
        text = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != text:
            raise CommandError("The two differ; try again.")
    else:
        raise CommandError("There is no terminal to ask at; give the password with --password-file.")
    password = text.rstrip("\r\n")
    if not minimum <= len(password) <= 1024:
        # NIST SP 800-63B section 5.1.1.2: at least 8 characters, no rules on what they are
        raise CommandError(f"A password has {minimum} to 1024 characters here; choose another.")
    return password
