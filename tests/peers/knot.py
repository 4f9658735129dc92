"""Debian's Knot DNS as a private instance: a world of its own from the root down, signed or not, on loopback.

It answers with authority for every zone it has, so to a stub resolver it looks like a resolver that knows everything.
Its trust anchor is in ``anchors``; nothing of the real root is used.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import program
from .process import Child, free_port

_SOA = "@ 3600 IN SOA ns.test. admin.test. 1 3600 600 86400 60\n"


@dataclass(frozen=True, slots=True)
class KnotZone:
    """One zone. ``records`` are lines of a zone file, besides SOA and NS. ``signed``: empty, ``nsec``, ``nsec3`` or
    ``opt-out``. ``ds`` is what the parent gets: ``True`` for the right ones, ``False`` for none, or records' text.
    ``raw``: ``records`` are the whole zone (signed elsewhere). ``servers`` are its name servers, which the zone and its
    parent name."""

    name: str
    records: str = ""
    signed: str = ""
    algorithm: str = "ECDSAP256SHA256"
    iterations: int = 0
    ds: bool | str = True
    raw: bool = False
    servers: tuple[str, ...] = ("ns.test",)


class Knot:
    """Serves ``zones`` between ``with`` and its end, at ``address`` and at ``more`` of them. A zone's parent must be
    among them; the root is ``.``."""

    def __init__(
        self, folder: Path, zones: Iterable[KnotZone], address: str = "127.0.0.1", more: Iterable[str] = ()
    ) -> None:
        self.folder, self.zones = folder, list(zones)
        self.address, self.more, self.port = address, tuple(more), free_port()
        self.anchors = folder / "anchors"
        self._config = folder / "knot.conf"
        self._child: Child | None = None

    def __enter__(self) -> Knot:
        for name in ("zones", "kasp", "run", "journal", "timers"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._config.write_text(self._configuration())
        digests = {zone.name: self._digests(zone) for zone in self.zones}
        self.anchors.write_text(digests["."])
        for zone in self.zones:
            self._file(zone).write_text(self._text(zone, digests))
        self._child = Child([program("knotd"), "-c", str(self._config)], self.folder / "log")
        self._child.wait_for(self.port, address=self.address)
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop()

    @property
    def server(self) -> tuple[str, int]:
        """Where it is asked."""
        return (self.address, self.port)

    def _file(self, zone: KnotZone) -> Path:
        return self.folder / "zones" / ("root" if zone.name == "." else zone.name)

    def _digests(self, zone: KnotZone) -> str:
        """The DS records of its key, which is made here."""
        if not zone.signed:
            return "" if isinstance(zone.ds, bool) else f"{_dotted(zone.name)} 3600 IN DS {zone.ds}\n"
        keymgr = [program("keymgr"), "-c", str(self._config), _dotted(zone.name)]
        made = subprocess.run(
            [*keymgr, "generate", f"algorithm={zone.algorithm}", "ksk=yes", "zsk=yes"],
            check=True,
            capture_output=True,
            text=True,
        )
        if zone.ds is False:
            return ""
        if isinstance(zone.ds, str):
            return f"{_dotted(zone.name)} 3600 IN DS {zone.ds}\n"
        key = made.stdout.split()[-1]
        ds = subprocess.run([*keymgr, "ds", key], check=True, capture_output=True, text=True).stdout
        lines = [line.split(" DS ")[1] for line in ds.splitlines() if " DS " in line]
        return "".join(f"{_dotted(zone.name)} 3600 IN DS {line}\n" for line in lines)

    def _text(self, zone: KnotZone, digests: dict[str, str]) -> str:
        head = "" if zone.raw else f"$ORIGIN {_dotted(zone.name)}\n$TTL 300\n{_SOA}{_servers(zone)}"
        children = "".join(
            f"{_servers(child)}{digests[child.name]}"
            for child in self.zones
            if child is not zone and self._parent(child) is zone
        )
        return head + zone.records + ("" if zone.raw else "\n" + children)

    def _parent(self, zone: KnotZone) -> KnotZone | None:
        above = [
            z for z in self.zones if z is not zone and (z.name == "." or zone.name.endswith("." + z.name))
        ]
        return max(above, key=lambda z: len(z.name), default=None)

    def _configuration(self) -> str:
        policies, zones = "", ""
        for number, zone in enumerate(self.zones):
            policies += f"  - id: p{number}\n    manual: on\n    single-type-signing: on\n"
            policies += f"    algorithm: {zone.algorithm}\n"
            if zone.signed in ("nsec3", "opt-out"):
                policies += (
                    f"    nsec3: on\n    nsec3-iterations: {zone.iterations}\n    nsec3-salt-length: 4\n"
                )
            if zone.signed == "opt-out":
                policies += "    nsec3-opt-out: on\n"
            zones += f"  - domain: {_dotted(zone.name)}\n    file: {self._file(zone)}\n"
            zones += "    semantic-checks: off\n    zonefile-sync: -1\n    journal-content: none\n"
            if zone.signed:
                zones += f"    dnssec-signing: on\n    dnssec-policy: p{number}\n"
        listen = "".join(f"  listen: {address}@{self.port}\n" for address in (self.address, *self.more))
        return (
            f"server:\n{listen}  rundir: {self.folder}/run\n"
            f"  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
            f"database:\n  storage: {self.folder}\n  kasp-db: kasp\n  journal-db: journal\n  timer-db: timers\n"
            f"  journal-db-max-size: 32M\n  kasp-db-max-size: 32M\n  timer-db-max-size: 8M\n"
            f"log:\n  - target: stderr\n    any: warning\n"
            f"policy:\n{policies}zone:\n{zones}"
        )


def _servers(zone: KnotZone) -> str:
    return "".join(f"{_dotted(zone.name)} 3600 IN NS {_dotted(name)}\n" for name in zone.servers)


def _dotted(name: str) -> str:
    return name if name.endswith(".") else name + "."
