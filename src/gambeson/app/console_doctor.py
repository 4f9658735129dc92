"""The doctor, asked from the console: the same checks, seen by the console's user.

That user owns the databases and nothing else. What it may not look at is a warning that says so, never a good line and
never a fault: ``gambeson doctor`` on the machine looks at everything. Keeper and worker are asked over the console's
own channels, and what stands in files of others (servers, addresses of the doors) comes out of the plan.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gambeson.console.office import Facts, World
from gambeson.model.server import MailServer
from gambeson.model.web import Site
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.settings import Config

from . import doctor
from .doctor import Check, Patient, failed, warning
from .installation import Installation
from .place import Place

# These judge by owners, modes and files of the data directory's owner.
OF_THE_OWNER = frozenset(("backups", "data_directory", "keeper_key", "settings_file", "users"))
ELSEWHERE = "Run gambeson doctor on the machine, as the owner of the data directory."


@dataclass
class Seen(Installation):
    """The installation as the console has it: its own store, and the servers of the plan."""

    facts: Facts = field(default_factory=lambda: Facts(""))

    def servers(self) -> tuple[MailServer, ...]:
        """Those of the plan."""
        return self.facts.servers

    def sites(self) -> tuple[Site, ...]:
        """Those of the plan."""
        return self.facts.sites


class ConsoleDoctor:
    """Made before the drop: it imports every check. ``config`` was read then too."""

    def __init__(self, world: World, place: Place, config: Config, file: Path | None) -> None:
        self._world, self._place, self._config, self._file = world, place, config, file
        self._checks = doctor.checks()

    def examine(self) -> Iterator[Check]:
        """Every line, as it is done. It may take as long as mail servers keep it waiting."""
        patient, owner = self._patient(), self._owner()
        for name, look in self._checks:
            shown = name.replace("_", " ")
            if name in OF_THE_OWNER and not owner:
                yield warning(
                    shown, "The console's user may not look at this, which is as it should be.", ELSEWHERE
                )
                continue
            try:
                yield from look(patient)
            except PermissionError:
                yield warning(shown, "The console's user may not look at this.", ELSEWHERE)
            except Exception as error:  # one check that breaks must not silence the rest
                yield failed(
                    shown,
                    f"This could not be looked at: {type(error).__name__}.",
                    "Report this; see the log.",
                )

    def _owner(self) -> bool:
        try:
            return self._place.data.stat().st_uid == os.geteuid()
        except OSError:
            return False

    def _patient(self) -> Patient:
        world, facts = self._world, self._world.facts
        seen = Seen(self._place, self._config, world.store, "console", facts=facts)
        patient = Patient(self._place, self._config, self._file, time.time(), seen)
        ca = self._place.tls / "ca.pem"
        vars(seen).update(keeper=world.keeper, worker=world.worker)
        vars(patient)["ready"] = {
            "doors": {
                each.name: _address(each.host, each.port) for each in facts.listeners if "#" not in each.name
            },
            "portal": facts.portal,
            "pid": os.getppid(),  # the supervisor, whose limits the doors inherit
            "ca": str(ca) if not self._config.tls.certificate and os.access(ca, os.R_OK) else None,
        }
        vars(patient)["health"] = None
        with suppress(ChannelGone, ChannelRefused):
            vars(patient)["health"] = world.worker.health()
        return patient


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
