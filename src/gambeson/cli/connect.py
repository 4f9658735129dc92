"""``gambeson connect``: guided set-up before one's own mail server; with --yes for scripts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from pathlib import Path

    from gambeson.app.connect import Found, Wanted
    from gambeson.app.connect_accounts import Person
    from gambeson.model.server import Endpoint

    from . import Commands

_DESCRIPTION = """\
Puts the doors before a mail server you have. Asks what is not given as an option, looks at the mail server's ports
(signing in nowhere), writes a settings file (0600; --config names it, else gambeson.toml in the data directory), makes
the organisation and its accounts, and prints what is left to do, and how to go back. Nothing of the mail server is
changed. With --yes it asks nothing.
"""
_URLS = (
    ("imap", "imaps://HOST:993"),
    ("pop3", "pop3s://HOST:995"),
    ("submission", "smtps://HOST:465"),
    ("sieve", "sieve://HOST:4190"),
)


def add(commands: Commands) -> None:
    """Declares ``connect``."""
    parser = commands.add("connect", "put the doors before your own mail server", run, _DESCRIPTION)
    parser.add_argument("--domain", metavar="DOMAIN", action="append", help="a mail domain; may be repeated")
    parser.add_argument("--name", metavar="NAME", help="the organisation's name (default: the domain)")
    parser.add_argument("--host", metavar="HOST", help="the mail server; its usual ports are looked at")
    _server(parser)
    _doors(parser)
    parser.add_argument("--accounts", metavar="CSV", help="accounts to make: address,aliases,groups")
    parser.add_argument("--force", action="store_true", help="overwrite the settings file")
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing; look at the ports; take what is proposed"
    )


def _server(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the mail server, where more is to be said than its host")
    for name, example in _URLS:
        group.add_argument(f"--{name}", metavar="URL", help=f"such as {example}, in place of the usual ports")
    group.add_argument(
        "--sign-in", choices=("token", "master", "sealed", "as-is"), help="default: by what it offers"
    )
    group.add_argument("--audience", metavar="WORD", help="the audience of tokens (default: gambeson)")
    group.add_argument("--master-login", metavar="NAME", help="its master user")
    group.add_argument("--master-password", metavar="REF", help="file:/path, env:NAME or credential:NAME")
    group.add_argument("--server-ca", metavar="FILE", help="authorities that vouch for it (PEM)")
    group.add_argument("--server-pin", metavar="HEX", help="SHA-256 of its certificate")
    group.add_argument("--server-name", metavar="NAME", help="the name its certificate carries")
    group.add_argument(
        "--server-trusts-us", action="store_true", help="it takes the client's address from us"
    )


def _doors(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the doors")
    group.add_argument("--hostname", metavar="HOST", help="the name people connect to (default: mail.DOMAIN)")
    group.add_argument("--listen", metavar="ADDRESS", default="0.0.0.0", help="default: 0.0.0.0")  # noqa: S104
    group.add_argument("--certificate", metavar="FILE", help="the doors' certificate chain (PEM)")
    group.add_argument("--key", metavar="FILE", help="its private key (PEM)")


def run(args: Namespace) -> int:
    """Asks, looks, writes, and says what is left to do."""
    from gambeson.app import connect
    from gambeson.app.installation import actor
    from gambeson.app.place import Place

    from .common import CommandError, config_path, data_dir, emit

    if not args.yes and (args.json or not sys.stdin.isatty()):
        raise CommandError(
            "There is nobody to ask (no terminal, or --json): give everything as options, and --yes; "
            "see gambeson connect --help."
        )
    path, data = config_path(args).absolute(), data_dir(args)
    if path.exists() and not args.force:
        raise CommandError(
            f"{path} is there already; name another with --config, or overwrite it with --force."
        )
    try:
        wanted, found = _decide(args)
        connect.check_certificate(wanted)
        people = _people(args, wanted.domains)
        text = connect.settings_text(wanted, data if path.parent != data else None)
        connect.checked(text, path)
        if not args.yes:
            print(f"\nThese are the settings, for {path}:\n\n{text}")
            if not _agree(f"Write them, and make the organisation with {len(people)} accounts?"):
                raise CommandError("Nothing was written.")
        place = Place(data)
        connect.make(place, path, text, wanted, people, force=args.force, who=actor())
    except connect.ConnectError as error:
        raise CommandError(str(error), error.code) from None
    todo, back = connect.steps(wanted, path, place, len(people)), connect.way_back(wanted)
    emit(
        args,
        _document(wanted, found, path, len(people), todo, back),
        _report(wanted, path, len(people), todo, back),
    )
    return 0


def _decide(args: Namespace) -> tuple[Wanted, list[Found]]:
    from gambeson.app import connect
    from gambeson.model.address import canonical_domain
    from gambeson.model.server import SignIn

    from .common import CommandError

    given = (
        args.domain
        or _ask(args, "Which mail domain (the part after the @)?", "--domain").replace(",", " ").split()
    )
    try:
        domains = tuple(dict.fromkeys(canonical_domain(domain) for domain in given))
    except ValueError as error:
        raise CommandError(str(error)) from None
    if not domains:
        raise CommandError("No mail domain was given; name one with --domain.")
    urls = _urls(args)
    host = args.host or ("" if urls else _ask(args, "Which host is your mail server?", "--host"))
    found = _look(args, host, urls)
    answering = [each.endpoint for each in found if each.answer is not None]
    if args.sign_in:
        way, why = SignIn(args.sign_in), "you said so"
    else:
        way, why = connect.propose(found, master=bool(args.master_login))
    if problem := connect.lacks(found, way):
        raise connect.ConnectError(f"sign_in = {way} cannot work: {problem}")
    if not args.yes:
        print(f"Signing in there: {way}, because {why}.")
    hostname = args.hostname or f"mail.{domains[0]}"
    if not args.hostname and not args.yes:
        hostname = _ask(args, "Which name do people connect to?", "--hostname", hostname)
    xclient = any(each.answer is not None and "XCLIENT" in each.answer.offers for each in found)
    options: dict[str, str | bool] = {
        "audience": args.audience or "",
        "master_login": args.master_login or "",
        "master_password": _reference(args.master_password or ""),
        "ca": _absolute(args.server_ca),
        "pin": args.server_pin or "",
        "server_name": args.server_name or "",
        "trusts_us": args.server_trusts_us or xclient,
    }
    return connect.Wanted(
        name=args.name or domains[0],
        domains=domains,
        hostname=hostname,
        endpoints=tuple(answering),
        sign_in=way,
        listen=args.listen,
        certificate=_absolute(args.certificate),
        key=_absolute(args.key),
        options=options,
    ), found


def _absolute(path: str | None) -> str:
    """As it has to stand in a file that lies elsewhere."""
    from pathlib import Path

    return str(Path(path).absolute()) if path else ""


def _reference(text: str) -> str:
    return f"file:{_absolute(text.removeprefix('file:'))}" if text.startswith("file:") else text


def _urls(args: Namespace) -> list[Endpoint]:
    """The addresses given as options, read by the settings' own rules."""
    import json
    from pathlib import Path

    from gambeson.settings import SettingsError, loads

    from .common import CommandError

    given = {name: value for name, _ in _URLS if (value := getattr(args, name))}
    if not given:
        return []
    lines = ["[[server]]", 'name = "main"', 'sign_in = "sealed"']
    lines += [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    try:
        server = loads("\n".join(lines) + "\n", "the command line", Path.cwd()).server[0]
    except SettingsError as error:
        raise CommandError(str(error)) from None
    return list(server.endpoints())


def _look(args: Namespace, host: str, urls: Sequence[Endpoint]) -> list[Found]:
    """What the mail server offers, asked with consent; certificates that do not hold are an error, or pinned by the
    person."""
    from gambeson.app import connect

    from .common import CommandError, Exit

    doors = {each.door for each in urls}
    usual = [each for each in connect.candidates(host) if each.door not in doors] if host else []
    endpoints = list(
        connect.with_options([*urls, *usual], ca=args.server_ca or "", pin=args.server_pin or "")
    )
    if args.server_name:
        endpoints = list(connect.with_options(endpoints, server_name=args.server_name))
    if not args.yes:
        print(
            f"The mail ports of {host or 'the mail server'} are looked at: greeting, offers, certificate. No sign-in."
        )
        if not _agree("May they be?"):
            raise CommandError("Nothing was looked at and nothing written.")
    quiet = args.yes
    found = connect.look(endpoints, told=lambda each: None if quiet else print(f"  {_line(each)}"))
    if not any(each.answer is not None for each in found):
        raise connect.ConnectError(
            f"No mail port of {host or 'the mail server'} answers; name its addresses with --imap and --submission.",
            Exit.UNREACHABLE,
        )
    for each in found:
        if each.endpoint in endpoints[: len(urls)] and each.answer is None:
            raise connect.ConnectError(f"{each.address}: {each.problem}.", Exit.UNREACHABLE)
    why, pin = connect.untrusted(found)
    if why:
        if (
            pin
            and not args.yes
            and _agree(f"Nothing vouches for its certificate ({why}). Trust exactly this one, SHA-256 {pin}?")
        ):
            args.server_pin = pin
            return found
        raise connect.ConnectError(
            f"The mail server's certificate does not hold ({why}); give --server-ca, --server-name or --server-pin"
            f"{f' {pin} after you have compared it there' if pin else ''}."
        )
    return found


def _line(found: Found) -> str:
    if found.answer is None:
        return f"{found.address}: {found.problem}"
    offers = sorted(offer for offer in found.answer.offers if offer.startswith("AUTH=") or offer == "XCLIENT")
    return f"{found.address}: answers, {found.answer.tls_version or 'no TLS'}, {' '.join(offers) or 'no mechanisms'}"


def _people(args: Namespace, domains: Sequence[str]) -> list[Person]:
    from pathlib import Path

    from gambeson.app.connect_accounts import MAX_OCTETS, CsvError, read_accounts

    from .common import CommandError, Exit

    if not args.accounts:
        return []
    try:
        with Path(args.accounts).open("rb") as file:
            return read_accounts(file.read(MAX_OCTETS + 1), args.accounts, domains)
    except OSError as error:
        raise CommandError(f"{args.accounts} cannot be read: {error.strerror}.", Exit.UNREACHABLE) from None
    except CsvError as error:
        raise CommandError(str(error)) from None


def _ask(args: Namespace, question: str, option: str, default: str = "") -> str:
    from .common import CommandError

    if args.yes:
        raise CommandError(f"With --yes nothing is asked: give {option}.")
    try:
        return input(f"{question}{f' [{default}]' if default else ''} ").strip() or default
    except EOFError:
        raise CommandError("The answers ended; nothing was written.") from None


def _agree(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _document(
    wanted: Wanted, found: Sequence[Found], path: Path, accounts: int, todo: list[str], back: list[str]
) -> dict[str, object]:
    return {
        "settings": str(path),
        "organisation": wanted.name,
        "domains": list(wanted.domains),
        "hostname": wanted.hostname,
        "accounts": accounts,
        "sign_in": wanted.sign_in.value,
        "found": [
            {
                "door": each.endpoint.door.value,
                "address": each.address,
                "offers": sorted(each.answer.offers) if each.answer is not None else [],
                "problem": each.problem or (each.answer.distrust if each.answer is not None else ""),
            }
            for each in found
        ],
        "steps": todo,
        "back": back,
    }


def _report(wanted: Wanted, path: Path, accounts: int, todo: list[str], back: list[str]) -> str:
    lines = [
        f"{wanted.name} is connected: {path} is written, accounts made: {accounts}.",
        "",
        "What is left to do:",
    ]
    lines += [f"{number:>3}. {text}" for number, text in enumerate(todo, 1)]
    lines += ["", "To go back in five minutes:"] + [
        f"{number:>3}. {text}" for number, text in enumerate(back, 1)
    ]
    return "\n".join(lines)
