"""Programs that read mail through their maker's cloud: recognised by what they call themselves, and by the network.

One file a cloud service in ``guard/data/clouds`` has its networks, as its maker publishes them; the programs that read
through it name it in their own file (``guard/data/clients``). The cloud holds the credential and keeps a copy of the
mail, so each organisation says which clouds may come in (``Organisation.clouds``, asked in ``decide``). A name is a
claim and an address is none: either is enough to be recognised, because recognising only narrows. Maker's lists of
networks change, so a folder of one's own files may replace or add services.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from gambeson.guard.data import texts
from gambeson.model.access import AccessRequest

from .networks import NetworkTable, parse_ip
from .web.clients import MAX_AGENT, Clients, load_clients

MAX_KEPT = 4096  # answers kept
MAX_NETWORKS = 10_000
_REQUIRED = ("name", "source", "dated", "networks")
_KEYS = frozenset((*_REQUIRED, "agents"))
_ID = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")


class CloudError(ValueError):
    """A file does not describe a cloud service. One sentence that names file and key."""


class Evidence(StrEnum):
    """By what it was recognised."""

    AGENT = "agent"  # by what it calls itself: User-Agent, or the name in IMAP's ID (RFC 2971)
    NETWORK = "network"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud service. ``id`` is the file's name; ``networks`` are CIDRs, as of ``dated`` (YYYY-MM-DD) by ``source``;
    ``agents`` are patterns for the beginning of what the service calls itself beside what its programs do."""

    id: str
    name: str
    networks: tuple[str, ...]
    source: str
    dated: str
    agents: tuple[re.Pattern[str], ...] = ()


@dataclass(frozen=True, slots=True)
class CloudService:
    """What was recognised: the id and name of the cloud, and by what."""

    id: str
    name: str
    evidence: Evidence


class Clouds:
    """All cloud services, by id. ``clients`` are the programs that may read through one."""

    def __init__(self, clouds: Iterable[Cloud], clients: Clients) -> None:
        """Raises CloudError for a program whose cloud is not there."""
        self.all: tuple[Cloud, ...] = tuple(sorted(clouds, key=lambda cloud: cloud.id))
        self._by_id = {cloud.id: cloud for cloud in self.all}
        self._clients = clients
        self._networks = NetworkTable((cloud.id, cidr) for cloud in self.all for cidr in cloud.networks)
        self._known: dict[tuple[str, str], CloudService | None] = {}
        for client in clients.all:
            if client.cloud and client.cloud not in self._by_id:
                raise CloudError(f"{client.id}.toml: cloud is {client.cloud!r}, which has no file.")

    def get(self, id: str) -> Cloud | None:
        """The service of that id."""
        return self._by_id.get(id)

    def named(self, id: str) -> str:
        """How a service is called; an id that is not known any more stays itself."""
        cloud = self._by_id.get(id)
        return cloud.name if cloud is not None else id

    def recognise(self, said: str, source: str) -> CloudService | None:
        """The cloud service behind a client that calls itself ``said`` and comes from ``source`` (an address), or None.
        Where name and network disagree the network says which it is. Pure: the same answer for the same two."""
        key = (said[:MAX_AGENT], source)
        try:
            return self._known[key]
        except KeyError:
            found = self._look(*key)
            if len(self._known) >= MAX_KEPT:
                self._known.clear()
            self._known[key] = found
            return found

    def _look(self, said: str, source: str) -> CloudService | None:
        claimed = self._claimed(said.strip())
        held = self._networks.holding(parse_ip(source))
        if held:
            id = claimed if claimed in held else min(held)
            evidence = Evidence.BOTH if claimed == id else Evidence.NETWORK
        elif claimed:
            id, evidence = claimed, Evidence.AGENT
        else:
            return None
        return CloudService(id, self._by_id[id].name, evidence)

    def _claimed(self, said: str) -> str:
        if not said:
            return ""
        client = self._clients.recognise(said)
        if client is not None and client.cloud:
            return client.cloud
        return next((c.id for c in self.all if any(p.match(said) for p in c.agents)), "")


def of_cloud(access: AccessRequest) -> dict[str, str]:
    """What the record says of a program that reads through a cloud; nothing of others."""
    return {"cloud": access.cloud, "cloud_evidence": access.cloud_evidence} if access.cloud else {}


def parse_cloud(text: str, name: str) -> Cloud:
    """The service in a file's text; ``name`` is the file's. Raises CloudError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CloudError(f"{name}: is no TOML: {error}") from None
    if unknown := table.keys() - _KEYS:
        raise CloudError(f"{name}: {sorted(unknown)[0]} is no key of a cloud service's file.")
    if missing := [key for key in _REQUIRED if not table.get(key)]:
        raise CloudError(f"{name}: {missing[0]} is missing.")
    id = name.removesuffix(".toml")
    if not _ID.match(id):
        raise CloudError(f"{name}: a cloud service's file is named with small letters, digits and -.")
    networks = _texts(table, "networks", name)
    if len(networks) > MAX_NETWORKS:
        raise CloudError(f"{name}: networks has more than {MAX_NETWORKS}.")
    for cidr in networks:
        try:
            narrow = ipaddress.ip_network(cidr).prefixlen > 0
        except ValueError as error:
            raise CloudError(f"{name}: networks: {error}.") from None
        if not narrow:
            raise CloudError(f"{name}: networks: {cidr} is everything.")
    for key in ("name", "source", "dated"):
        if not isinstance(table[key], str) or not table[key].strip() or len(table[key]) > 400:
            raise CloudError(f"{name}: {key} is no text.")
    if not _DATE.match(table["dated"]):
        raise CloudError(f"{name}: dated is no date such as 2026-07-12.")
    try:
        agents = tuple(re.compile(one, re.IGNORECASE) for one in _texts(table, "agents", name))
    except re.error as error:
        raise CloudError(f"{name}: agents: {error}.") from None
    return Cloud(id, table["name"].strip(), networks, table["source"].strip(), table["dated"], agents)


def _texts(table: dict[str, Any], key: str, name: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise CloudError(f"{name}: {key} is no list of texts.")
    return tuple(value)


@cache
def load_clouds() -> Clouds:
    """The services that come with Gambeson. Raises CloudError where a file is damaged."""
    return with_files({})


def with_files(own: Mapping[str, str]) -> Clouds:
    """The services that come with Gambeson and those of ``own`` files (text by file name), where one of the same name
    replaces ours. Raises CloudError."""
    found = texts("clouds") | dict(own)
    return Clouds((parse_cloud(text, name) for name, text in found.items()), load_clients())
