"""What of the data directory goes into a backup besides the databases, and how it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gambeson.process.run_directory import held
from gambeson.settings import Config
from gambeson.store.errors import StoreDamaged, StoreError
from gambeson.store.restore import restore, restore_files, restore_postgresql

from .place import Place
from .plan import Planner, store_url
from .worker_child import with_password

# Copied over from the replaced directory where the backup has none of them.
KEPT = ("keeper", "tls", "playground", "instance", "gambeson.toml")


class RestoreError(Exception):
    """It cannot be restored. One sentence; ``code`` is the exit status."""

    def __init__(self, sentence: str, code: int = 2) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class PutBack:
    """``aside``: where the old data lies. ``keys``: whether the keeper's keys are there. ``mail_missing``: it is a
    playground, and its mail did not come back."""

    aside: Path | None
    keys: bool
    mail_missing: bool


def extra_files(place: Place, *, keys: bool) -> dict[str, Path]:
    """Paths relative to the data directory, and where they are now; ``keys``: the master key too. The playground's
    mail is not among them."""
    names = ["instance", "gambeson.toml", "playground/sample.json", "playground/people.json"]
    names += [f"tls/{each.name}" for each in sorted(place.tls.glob("*.pem"))]
    for each in sorted(place.keeper.glob("*")):
        # keys.sealed opens only with the master key, which may be left out
        if each.is_file() and (keys or each.name != "master.key"):
            names.append(f"keeper/{each.name}")
    return {name: place.data / name for name in names if (place.data / name).is_file()}


def put_back(source: Path, data: Path, config: Config, *, force: bool) -> PutBack:
    """Restore ``source`` into ``data``. Raises RestoreError; then nothing that was there is changed (on PostgreSQL the
    backup's files may have been added already; they do not hinder another try)."""
    place = Place(data)
    _must_be_stopped(place)
    url = store_url(place, config)
    try:
        if url.startswith("sqlite"):
            aside = restore(source, data, force=force, keep=KEPT).aside
        else:
            password = Planner(place, config, ()).store_password()
            # The files first: with another master key in place, nothing in the database could be opened.
            restore_files(source, data, kind="postgresql")
            restore_postgresql(source, with_password(url, password))
            aside = None
    except StoreError as error:
        bad = error.usage or isinstance(error, StoreDamaged)  # a damaged backup is bad input
        raise RestoreError(str(error), 2 if bad else 3) from None
    return PutBack(
        aside,
        (place.keeper / "master.key").is_file() or bool(config.keeper.key or config.keeper.passphrase),
        place.playground_marker.is_file() and not place.playground_mail.is_dir(),
    )


def _must_be_stopped(place: Place) -> None:
    if held(place.data):
        raise RestoreError(f"Gambeson runs on {place.data}; stop it before you restore.")
