"""What every command shares: exit codes, the one-sentence error, where data lie, how to answer."""

from __future__ import annotations

import json
import os
import re
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from gambeson.settings import Config


# What json.dumps leaves as it is, and a terminal obeys or does not show: controls beyond ASCII's first, characters that
# turn or hide text, halves of a pair.
_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


class Exit(IntEnum):
    """Exit codes. Scripts rely on them; ``hunt`` adds 10, 20 and 30."""

    GOOD = 0
    WRONG = 1  # done, and something is wrong
    USAGE = 2  # usage, configuration or other input
    UNREACHABLE = 3  # a peer or a file could not be reached
    INCOMPLETE = 4  # done in part; the output says what is missing
    DEFECT = 70  # a fault of the program itself (sysexits' EX_SOFTWARE)


class CommandError(Exception):
    """Ends a command with one sentence for the person: what, where, what to do.

    ``text`` is that sentence, ``exit_code`` one of :class:`Exit`.
    """

    def __init__(self, text: str, exit_code: int = Exit.USAGE) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = int(exit_code)


def data_dir(args: Namespace, environ: Mapping[str, str] | None = None, configured: str = "") -> Path:
    """The data directory, absolute: ``--data``, else ``$GAMBESON_DATA``, else ``configured`` (the setting ``data``
    of a file named with ``--config``), else ``$XDG_STATE_HOME/gambeson``, else ``~/.local/state/gambeson``. It
    need not exist.

    Raises CommandError where no home directory is known.
    """
    env = os.environ if environ is None else environ
    for named in (args.data, env.get("GAMBESON_DATA"), configured):
        if named:
            return Path(named).expanduser().absolute()
    state = env.get("XDG_STATE_HOME", "")
    if state.startswith("/"):  # the XDG specification: a relative path is to be ignored
        return Path(state, "gambeson")
    home = env.get("HOME", "")
    if not home.startswith("/"):
        raise CommandError("No data directory is known because HOME is not set; name one with --data.")
    return Path(home, ".local", "state", "gambeson")


def config_path(args: Namespace) -> Path:
    """The settings file: ``--config``, else ``gambeson.toml`` in the data directory. It need not exist.

    Raises CommandError where the data directory is closed to this user.
    """
    if args.config:
        return Path(args.config)
    data = data_dir(args)
    try:
        (data / "gambeson.toml").is_file()
    except OSError as error:  # Path.is_file answers no only where there is nothing
        raise CommandError(
            f"The data directory {data} cannot be used: {error.strerror}; run this as its owner or name another with "
            "--data.",
            Exit.UNREACHABLE,
        ) from None
    return data / "gambeson.toml"


def config(args: Namespace) -> Config:
    """The settings: what ``--config`` names, else ``gambeson.toml`` in the data directory where it exists, else
    the defaults. Raises CommandError with file, line and what to do."""
    from gambeson.settings import SettingsError, load

    path = config_path(args)
    if not args.config and os.geteuid() == 0 and path.is_file() and path.lstat().st_uid != 0:
        # The data directory may be the worker's: whoever took that over must not tell root what to run.
        raise CommandError(f"{path} is not root's own; look it over, then run: chown root {path}")
    try:
        return load(path if args.config or path.is_file() else None)
    except SettingsError as error:
        raise CommandError(str(error), Exit.UNREACHABLE if error.unreadable else Exit.USAGE) from None


def emit(args: Namespace, document: Mapping[str, Any], text: str) -> None:
    """Writes the answer to standard output: ``document`` as one JSON document with ``--json``, else
    ``text`` for people (a final line break is added where it is missing)."""
    if args.json:
        text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
        text = _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
