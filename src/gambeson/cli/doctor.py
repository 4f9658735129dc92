"""``gambeson doctor``: one line a measurement: ok, warning or failed, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from gambeson.app.doctor import Check, Patient
    from gambeson.settings import Config

    from . import Commands

_DESCRIPTION = """\
Looks at this installation from the settings to the mail server and changes nothing. It signs in nowhere and sends no
password. Exit 0: nothing at or above --fail-on; 1: something is; 3: there is no installation.
"""
_LEVELS = {"failed": 3, "warning": 2}  # as severities: failed counts as high, a warning as medium
_FAIL_ON = {"low": 1, "medium": 2, "high": 3, "critical": 4}


def add(commands: Commands) -> None:
    """Declares ``doctor``."""
    parser = commands.add("doctor", "is everything in order? and what to do", run, _DESCRIPTION)
    parser.add_argument(
        "--fail-on",
        choices=tuple(_FAIL_ON),
        default="high",
        help="exit 1 from here on: a failed line is high, a warning medium (default high)",
    )


def run(args: Namespace) -> int:
    """Prints the report."""
    from gambeson.app.doctor import examine, failed

    from .common import CommandError, Exit, config, config_path, data_dir, emit

    path = config_path(args)
    there = bool(args.config) or path.is_file()
    try:
        settings = config(args)
    except CommandError as error:
        found = [failed("settings", error.text, "Correct that; nothing else was looked at.")]
        unreachable = error.exit_code == Exit.UNREACHABLE
    else:
        data = data_dir(args, configured=settings.data)
        if not data.is_dir():
            raise CommandError(
                f"There is no installation in {data}: start one with gambeson up, or name another with --data.",
                Exit.UNREACHABLE,
            )
        unreachable = False
        with _patient(data, settings, path if there else None) as patient:
            found = list(examine(patient))
    emit(args, _document(found), _report(found))
    worst = max((_LEVELS.get(check.state.value, 0) for check in found), default=0)
    if unreachable:
        return Exit.UNREACHABLE
    return Exit.WRONG if worst >= _FAIL_ON[args.fail_on] else Exit.GOOD


@contextmanager
def _patient(data: Path, settings: Config, file: Path | None) -> Iterator[Patient]:
    """The patient, with the store open for as long as it is looked at, where it opens."""
    from gambeson.app.doctor import Patient
    from gambeson.app.installation import InstallationError, opened
    from gambeson.app.place import Place
    from gambeson.settings import SettingsError
    from gambeson.store.errors import StoreError

    from .shared import now

    patient = Patient(Place(data), settings, file, now())
    with ExitStack() as stack:
        try:
            patient.installation = stack.enter_context(opened(data, settings))
        except (InstallationError, SettingsError, StoreError) as error:
            patient.store_problem = str(error)
        yield patient


def _document(found: list[Check]) -> dict[str, object]:
    checks = [{"name": c.name, "state": c.state.value, "text": c.text, "remedy": c.remedy} for c in found]
    return {"state": _worst(found), "checks": checks}


def _worst(found: list[Check]) -> str:
    states = {check.state.value for check in found}
    return next((state for state in ("failed", "warning") if state in states), "ok")


def _report(found: list[Check]) -> str:
    from .shared import printable

    lines = []
    for check in found:
        lines.append(f"{check.state.value:<8} {check.name}: {printable(check.text)}")
        if check.remedy:
            lines.append(f"{'':<8}   {printable(check.remedy)}")
    count = {
        state: sum(check.state.value == state for check in found) for state in ("ok", "warning", "failed")
    }
    lines.append(f"{count['ok']} ok, {count['warning']} warnings, {count['failed']} failed.")
    return "\n".join(lines)
