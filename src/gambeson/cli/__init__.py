"""The command line: ``gambeson COMMAND ...``.

One file in this package is one command (or one group of commands) and needs no entry anywhere else.
A command file (a file without ``add`` is what several of them share) has

- ``add(commands: Commands) -> None``: declares its parsers with :meth:`Commands.add`. Light: it
  imports nothing of the project but this package, since it runs at every start;
- functions ``run(args) -> int`` given to :meth:`Commands.add`: they import what they need when called
  and return the exit code.

Rules for every command: with ``--json`` exactly one JSON document on standard output; people's words on
standard output, trouble on standard error as one sentence without a traceback; exit codes as in
:class:`Exit`. Every command takes ``--json``, ``--data``, ``--org`` and ``--config``.
"""

from __future__ import annotations

from .common import CommandError, Exit, config, config_path, data_dir, emit
from .frame import Commands, main

__all__ = ["CommandError", "Commands", "Exit", "config", "config_path", "data_dir", "emit", "main"]
