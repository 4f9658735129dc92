"""Parses the command line, runs one command, and turns every way it can end into an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from .common import CommandError, Exit

if TYPE_CHECKING:
    Run = Callable[[argparse.Namespace], int]

_FRAMEWORK = {
    "frame",
    "common",
    "shared",
    "guard_walk",
    "guard_walk_web",
    "guard_export",
    "guard_shields",
}
_GLOBAL = ("json", "data", "org", "config")


class _Parser(argparse.ArgumentParser):
    """argparse with one-sentence errors, and no abbreviations (they break when options are added)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{self.prog}: {message}; see {self.prog} --help.", Exit.USAGE)


class Commands:
    """Where a command file declares its parsers. ``group`` nests, such as ``device`` > ``enrol``."""

    def __init__(self, parser: argparse.ArgumentParser, depth: int = 0) -> None:
        self._depth = depth
        self._actions = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=_Parser)

    def add(self, name: str, summary: str, run: Run, description: str = "") -> argparse.ArgumentParser:
        """Declares a command that calls ``run``; returns its parser, for the command's own arguments."""
        parser = self._actions.add_parser(name, help=summary, description=description or summary)
        _global_options(parser)
        parser.set_defaults(run=run)
        return parser

    def group(self, name: str, summary: str, description: str = "") -> Commands:
        """Declares a group of commands; without a command of the group its help is an error's remedy."""
        parser = self._actions.add_parser(name, help=summary, description=description or summary)
        _global_options(parser)
        parser.set_defaults(run=_incomplete(parser))
        return Commands(parser, self._depth + 1)


def _incomplete(parser: argparse.ArgumentParser) -> Run:
    def run(args: argparse.Namespace) -> int:
        parser.error("a command is missing")

    return run


def _global_options(parser: argparse.ArgumentParser) -> None:
    # SUPPRESS: an option left out here must not undo the same option given before the command.
    hidden: Any = argparse.SUPPRESS
    group = parser.add_argument_group("options of every command")
    group.add_argument("--json", action="store_true", default=hidden, help="answer with one JSON document")
    group.add_argument("--data", metavar="DIR", default=hidden, help="the data directory")
    group.add_argument("--org", metavar="NAME", default=hidden, help="the organisation")
    group.add_argument("--config", metavar="FILE", default=hidden, help="the settings file (TOML)")


def parser() -> argparse.ArgumentParser:
    """The whole command line. Command files are found by listing this package."""
    root = _Parser(prog="gambeson", description="Mail armour: guarded doors before your mail server.")
    root.add_argument("--version", action="store_true", help="print the version")
    _global_options(root)
    root.set_defaults(run=None, json=False, data=None, org=None, config=None)
    commands = Commands(root)
    package = importlib.import_module(__package__)
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if found.name not in _FRAMEWORK:
            module = importlib.import_module(f"{__package__}.{found.name}")
            if hasattr(module, "add"):  # others are what several commands share
                module.add(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line ``argv`` (default: the process's) and returns the exit code."""
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
        return code
    except CommandError as error:
        return _complain(error.text, error.exit_code)
    except KeyboardInterrupt:
        return _complain("Interrupted.", 130)
    except BrokenPipeError:
        # The reader left. Standard output goes nowhere, so that the interpreter's own last flush is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if os.environ.get("GAMBESON_TRACEBACK"):
            traceback.print_exc()
        name = type(error).__name__
        return _complain(
            f"A fault of the program itself: {name}: {_one_line(str(error))}; "
            "run it again with GAMBESON_TRACEBACK=1 and report what it prints.",
            Exit.DEFECT,
        )


def _run(argv: list[str]) -> int:
    root = parser()
    try:
        args = root.parse_args(argv)
    except SystemExit as end:  # --help has been printed
        return int(end.code or 0)
    if args.version:
        from .version import run

        return run(args)
    if args.run is None:
        root.error("a command is missing")
    return int(args.run(args))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _complain(text: str, code: int) -> int:
    try:
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(code)
