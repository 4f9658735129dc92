"""``gambeson up``: start the doors; without settings, the playground."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gambeson.settings import Config

    from . import Commands

_DESCRIPTION = """\
Starts the doors and stays in the foreground until Ctrl-C or SIGTERM. Without a settings file it makes the playground:
an embedded mail server with a sample organisation behind real doors on high ports of this machine.
With --mail-server the same doors stand before a real server.
"""


def add(commands: Commands) -> None:
    """Declares ``up``."""
    parser = commands.add("up", "start the doors (without settings: the playground)", run, _DESCRIPTION)
    parser.add_argument(
        "--ports-from",
        metavar="N",
        type=int,
        default=0,
        help="listen on 127.0.0.1: imap N, imaps N+1, pop3 N+2, pop3s N+3, submission N+4, submissions N+5, "
        "sieve N+6, https N+7, console N+8",
    )
    _server_options(parser)


def _server_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("a real mail server in place of the embedded one")
    for name, scheme in (
        ("mail-server", "imaps://HOST:PORT"),
        ("submission", "smtps://HOST:PORT"),
        ("pop3-server", "pop3s://HOST:PORT"),
        ("sieve-server", "sieve://HOST:PORT"),
    ):
        group.add_argument(f"--{name}", metavar="URL", help=f"such as {scheme}")
    group.add_argument("--sign-in", choices=("token", "master", "sealed", "as-is"), help="default: token")
    group.add_argument("--audience", metavar="WORD", help="the audience of tokens (default: gambeson)")
    group.add_argument("--master-login", metavar="NAME", help="for --sign-in master")
    group.add_argument(
        "--master-password", metavar="REF", help="file:/path or env:NAME, for --sign-in master"
    )
    group.add_argument("--server-ca", metavar="FILE", help="authorities that vouch for the server (PEM)")
    group.add_argument("--server-pin", metavar="HEX", help="SHA-256 of the server's certificate")
    group.add_argument("--server-name", metavar="NAME", help="the name its certificate must carry")
    group.add_argument(
        "--server-trusts-us", action="store_true", help="the server takes the client's address from us"
    )


def run(args: Namespace) -> int:
    """Runs until told to stop."""
    import contextlib
    import sys

    sys.stderr.write("Starting ...\n")  # before the imports below, which take longer than a person waits
    sys.stderr.flush()
    from gambeson.app.up import Wish, to_stderr
    from gambeson.app.up import run as start
    from gambeson.process.run_directory import RunError
    from gambeson.settings import SettingsError

    from .common import CommandError, Exit, config, config_path, data_dir, emit

    if not 0 <= args.ports_from <= 65535 - 8:
        raise CommandError("--ports-from must be a port that has eight more above it, at most 65527.")
    given = _servers(args)
    path = config_path(args)
    configured = bool(args.config) or path.is_file()
    if given is not None and configured:
        raise CommandError(f"Mail servers are given here and in {path}; give them in one place.")

    def read() -> Config | None:
        return config(args) if configured else None

    settings = read()
    data = data_dir(args, configured=settings.data if settings is not None else "")
    file = str(path.absolute()) if configured else ""
    wish = Wish(data, settings, read, args.ports_from, given, config_file=file)

    def stood(document: dict[str, object]) -> None:
        if args.json:
            with contextlib.suppress(OSError):  # whoever reads it may have left: the doors stand all the same
                emit(args, document, "")
                sys.stdout.flush()

    try:
        return start(wish, to_stderr, stood)
    except RunError as error:
        raise CommandError(f"Gambeson cannot start: {error}.", error.code) from None
    except SettingsError as error:
        raise CommandError(str(error), Exit.USAGE) from None


def _servers(args: Namespace) -> Config | None:
    """The settings that the options for a real mail server amount to; None where none was given. Written as a settings
    file and read as one, so that the same checks hold."""
    from pathlib import Path

    from gambeson.settings import SettingsError, loads

    from .common import CommandError

    values = {
        "imap": args.mail_server,
        "submission": args.submission,
        "pop3": args.pop3_server,
        "sieve": args.sieve_server,
        "sign_in": args.sign_in,
        "audience": args.audience,
        "master_login": args.master_login,
        "master_password": args.master_password,
        "ca": args.server_ca,
        "pin": args.server_pin,
        "server_name": args.server_name,
        "trusts_us": args.server_trusts_us or None,
    }
    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        return None
    lines = ["[[server]]", 'name = "mail"'] + [f"{name} = {_toml(value)}" for name, value in given.items()]
    try:
        return loads("\n".join(lines) + "\n", "the command line", Path.cwd())
    except SettingsError as error:
        raise CommandError(str(error)) from None


def _toml(value: object) -> str:
    import json

    return json.dumps(value)  # a JSON string, and true, are TOML as well
