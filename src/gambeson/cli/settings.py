"""``gambeson settings``: a sample file, the reference of every setting, and a check of one's own file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from . import Commands


def add(commands: Commands) -> None:
    """Declares ``settings sample``, ``settings reference`` and ``settings check``."""
    group = commands.group("settings", "print a sample settings file, explain settings, check a file")
    group.add("sample", "print a settings file to begin with", _sample)
    group.add("reference", "print what every setting does (Markdown)", _reference)
    check = group.add("check", "check a settings file without using it", _check)
    check.add_argument(
        "file", nargs="?", help="the file; default: --config, else gambeson.toml in the data directory"
    )


def _sample(args: Namespace) -> int:
    from gambeson.settings.document import sample

    from .common import Exit, emit

    emit(args, {"toml": sample()}, sample())
    return Exit.GOOD


def _reference(args: Namespace) -> int:
    from gambeson.settings.document import reference

    from .common import Exit, emit

    emit(args, {"markdown": reference()}, reference())
    return Exit.GOOD


def _check(args: Namespace) -> int:
    from .common import Exit, config, config_path, emit

    args.config = args.file or str(config_path(args))
    read = config(args)
    servers = [server.name for server in read.servers]
    listeners = {name.value: [str(at) for at in addresses] for name, addresses in read.listen.doors().items()}
    text = f"{args.config} is good: {len(listeners)} listeners, {len(servers)} mail servers."
    emit(args, {"file": args.config, "good": True, "listeners": listeners, "servers": servers}, text)
    return Exit.GOOD
