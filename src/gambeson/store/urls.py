"""Where a store is: a SQLite file with its events beside it, or one PostgreSQL database.

``sqlite:////var/lib/gambeson/store/control.db`` puts ``events.db`` next to ``control.db``, so that taking
in events never makes a control write wait. On PostgreSQL both live in one database. SQLite makes its journals
beside the database, so that folder is the worker's; it holds nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import BadValue

STORE_FOLDER = "store"  # in the data directory
CONTROL_FILE = "control.db"
EVENTS_FILE = "events.db"


@dataclass(frozen=True, slots=True)
class Location:
    """``control`` and ``events`` are set for SQLite, ``url`` for PostgreSQL. ``shown`` has no password."""

    shown: str
    control: Path | None = None
    events: Path | None = None
    url: URL | None = None


def locate(url: str) -> Location:
    """Reads a store's URL. Raises BadValue with one sentence for any other kind of URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadValue(
            "The store's address is not a URL: write sqlite:////path/control.db or postgresql://..."
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise BadValue("A SQLite store needs a file: write sqlite:////path/control.db.")
        control = Path(parsed.database)
        return Location(str(control), control=control, events=control.with_name(EVENTS_FILE))
    if backend == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return Location(parsed.render_as_string(hide_password=True), url=parsed)
    raise BadValue(f"A store cannot be kept in {backend}: use sqlite or postgresql.")


def sqlite_url(data_dir: Path) -> str:
    """The URL of the embedded store in a data directory."""
    return f"sqlite:///{data_dir / STORE_FOLDER / CONTROL_FILE}"
