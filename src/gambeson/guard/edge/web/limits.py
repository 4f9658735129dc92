"""How long and how much at the web doors. Times are seconds, sizes octets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebLimits:
    """``portal_hosts`` are names of the portal, served beside the names of the sites.

    A whole head must come within ``head`` from its first octet, and trickling does not extend that. A body must bring
    ``body_least`` octets in every ``body`` seconds. ``stall`` is how long either side may take nothing of what waits
    for it.
    """

    portal_hosts: tuple[str, ...] = ()
    head: float = 20.0
    keep_alive: float = 60.0
    keep_alive_unknown: float = 20.0  # on connections that nobody has proven anything on
    judging: float = 60.0  # a verdict that must be asked for elsewhere
    body: float = 60.0
    body_least: int = 4096
    stall: float = 120.0
    websocket: float = 3600.0  # an open WebSocket with no octet either way
    linger: float = 2.0  # after an answer that ends the connection, so that it can be read
    linger_octets: int = 1048576  # of a body that nobody wants, read away meanwhile
    peek: int = 262144  # the most of a body that is held for a verdict
    request_log: str = "refused"  # of which requests the shape is kept: off, refused, all
    requests_logged: int = 200  # a second, with all; further ones are counted
    refusals: int = 10  # recorded one by one on one connection
    refusals_of_source: int = 100  # and of one source within 30 seconds; further ones are counted
