"""Where everything lies in the data directory. One place for paths.

The directory belongs to whoever starts Gambeson. What the worker writes lies in folders of its own, so that whoever
took the worker over can move, replace or add nothing beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gambeson.store.urls import CONTROL_FILE, EVENTS_FILE, STORE_FOLDER


@dataclass(frozen=True, slots=True)
class Place:
    """The data directory."""

    data: Path

    @property
    def store(self) -> Path:
        """The databases (SQLite) and their journals; the worker's own."""
        return self.data / STORE_FOLDER

    @property
    def control(self) -> Path:
        """The control database (SQLite)."""
        return self.store / CONTROL_FILE

    @property
    def earlier_control(self) -> Path:
        """Where an earlier version had the control database; ``up`` moves it."""
        return self.data / CONTROL_FILE

    @property
    def events(self) -> Path:
        """The events database (SQLite)."""
        return self.store / EVENTS_FILE

    @property
    def written_by_worker(self) -> tuple[Path, ...]:
        """The folders that the worker's user owns, besides the playground's mail."""
        return (self.store, *(self.data / name for name in ("snapshots", "spool", "throttle")))

    @property
    def keeper(self) -> Path:
        """The keeper's own folder: its sealed keys, and the key file where no other is named."""
        return self.data / "keeper"

    @property
    def run(self) -> Path:
        """Sockets of the command line and ``ready.json``, while it runs."""
        return self.data / "run"

    @property
    def tls(self) -> Path:
        """Certificates that Gambeson made itself."""
        return self.data / "tls"

    @property
    def authority(self) -> Path:
        """The device authority's certificate (PEM), public."""
        return self.data / "tls" / "device-authority.pem"

    @property
    def token_key(self) -> Path:
        """The public key that tokens are verified with (PEM), public."""
        return self.data / "tls" / "token-key.pem"

    @property
    def portal_key(self) -> Path:
        """What signs the cookies of browsers that the portal knows."""
        return self.data / "portal-browsers.key"

    @property
    def servers(self) -> Path:
        """The mail servers that the last ``up`` stood before (JSON): those of the command line stand nowhere else."""
        return self.data / "servers.json"

    @property
    def sites(self) -> Path:
        """The web applications, likewise."""
        return self.data / "sites.json"

    @property
    def backups(self) -> Path:
        """Backups that an upgrade takes before it changes anything."""
        return self.data / "backups"

    @property
    def playground(self) -> Path:
        """The playground's sample passwords and, in a folder below, its mail."""
        return self.data / "playground"

    @property
    def playground_mail(self) -> Path:
        """The playground's mailboxes; its mail server's own, which runs as the worker's user."""
        return self.playground / "mail"

    @property
    def playground_marker(self) -> Path:
        """There once the sample organisation was made: passwords shown to the person, JSON, 0600."""
        return self.playground / "sample.json"
