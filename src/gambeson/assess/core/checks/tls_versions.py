"""Which versions of TLS a door takes (RFC 8996, RFC 9325 section 3.1.1)."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.tls import TlsFacts, TlsVersion
from gambeson.assess.core.tls_doors import between_servers, evidence, with_tls
from gambeson.assess.core.unknown import Unknown

_BROKEN = (TlsVersion.SSL2, TlsVersion.SSL3)
_OLD = (TlsVersion.TLS1_0, TlsVersion.TLS1_1)
_NEW = (TlsVersion.TLS1_2, TlsVersion.TLS1_3)


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome a door: the worst that was taken, or what could not be seen, or that all is well."""
    for door, tls in with_tls(facts):
        if tls.unknown is not None:
            yield Outcome("unknown", door.place, unknown=tls.unknown)
            continue
        taken = tls.accepted()
        broken = [version for version in taken if version in _BROKEN]
        old = [version for version in taken if version in _OLD]
        if broken:
            code, named = "broken", broken
        elif old and all(dict(tls.versions).get(version) is False for version in _NEW):
            code, named = "only-old", old
        elif old:
            code, named = ("old-between-servers" if between_servers(door) else "old"), old
        elif (unknown := _unknown(tls)) is not None:
            yield Outcome("unknown", door.place, unknown=unknown)
            continue
        else:
            code, named = "modern", list(taken)
        yield Outcome(
            code,
            door.place,
            {"versions": " and ".join(named)},
            evidence(facts, door, f"accepts {', '.join(taken)}"),
        )


def _unknown(tls: TlsFacts) -> Unknown | None:
    return next((taken for _, taken in tls.versions if isinstance(taken, Unknown)), None)
