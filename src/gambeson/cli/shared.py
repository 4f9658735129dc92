"""What commands on an installation share: opening it, telling the doors, times and durations as people write them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .common import CommandError, Exit, config, data_dir

if TYPE_CHECKING:
    from argparse import Namespace

    from gambeson.app.installation import Installation, Told

_DURATION = re.compile(r"(\d{1,6})([smhdw])\Z")
_LAST = datetime(9998, 12, 31, tzinfo=UTC).timestamp()  # what can still be shown as a date
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@contextmanager
def installation(args: Namespace) -> Iterator[Installation]:
    """The installation that the options name. Raises CommandError for everything that is wrong with it."""
    from gambeson.app.installation import InstallationError, error_code, opened
    from gambeson.process.channel import ChannelGone, ChannelRefused
    from gambeson.store.errors import StoreError

    settings = config(args)
    try:
        with opened(data_dir(args, configured=settings.data), settings) as found:
            yield found
    except InstallationError as error:
        raise CommandError(str(error), error.code) from None
    except StoreError as error:
        raise CommandError(str(error), error_code(error)) from None
    except ChannelRefused as error:
        raise CommandError(f"The keeper or worker refused: {error}.") from None
    except ChannelGone as error:
        raise CommandError(f"{_sentence(str(error))}.", Exit.UNREACHABLE) from None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def told(told: Told) -> tuple[dict[str, object], str, int]:
    """What became known to the doors: the part of the document, a line for people, and the exit code: 0 when every
    door has acknowledged (or nothing runs), else 4."""
    document: dict[str, object] = {
        "snapshot": told.number or None,
        "acknowledged": list(told.acknowledged),
        "missing": list(told.missing),
    }
    if not told.number and not told.missing:
        return document, "Nothing runs here; it holds from the next start on.", Exit.GOOD
    if told.missing:
        return document, f"Not yet acknowledged by {', '.join(told.missing)}.", Exit.INCOMPLETE
    return document, "", Exit.GOOD


def now() -> float:
    """The wall clock, seconds since 1970."""
    return time.time()


def duration(text: str) -> float:
    """Seconds of ``30m``, ``2h``, ``14d`` and the like. Raises CommandError."""
    match = _DURATION.match(text.strip().lower())
    if match is None or not int(match[1]):
        raise CommandError(f"{text!r} is no duration; write a number and s, m, h, d or w, such as 2h.")
    return float(int(match[1]) * _SECONDS[match[2]])


def moment(text: str) -> float:
    """A date (``2027-01-31``), a time (RFC 3339) or a duration from now, as seconds since 1970. Raises CommandError."""
    if _DURATION.match(text.strip().lower()):
        end = now() + duration(text)
        if end > _LAST:
            raise CommandError(f"{text!r} is beyond the year 9998; give an earlier end, such as 90d.")
        return end
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no date; write 2027-01-31, or a duration such as 90d.") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def shown_time(at: float) -> str | None:
    """RFC 3339 in UTC; None for never."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def table(rows: list[list[str]], head: list[str]) -> str:
    """Columns for a terminal; control characters of the data never reach it."""
    clean = [[printable(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in clean) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in clean
    ]
    return "\n".join(lines)


def printable(text: str) -> str:
    """The text without control characters, which would speak to the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
