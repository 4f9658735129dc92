"""Organisations: they own everything else, and nothing crosses between them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Organisation:
    """``name`` is what ``--org`` takes; ``domains`` are lower-case mail domains it answers for.

    ``enrolment_url`` is where a refused person registers a device (shown in refusals). ``clouds`` are the ids of the
    cloud services whose programs may come in: those that read mail through their maker's cloud, which holds the
    credential; none: no such program may.
    """

    id: str
    name: str
    domains: tuple[str, ...] = ()
    enrolment_url: str = ""
    clouds: tuple[str, ...] = ()
