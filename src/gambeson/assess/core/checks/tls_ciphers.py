"""Which weak suites a door takes (RFC 9325 section 4.1, RFC 7465)."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import DoorFacts
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.tls import Weakness
from gambeson.assess.core.tls_doors import between_servers, evidence, with_tls

_WORDS = {
    Weakness.NULL: "no encryption at all",
    Weakness.ANONYMOUS: "no certificate",
    Weakness.EXPORT: "export ciphers",
    Weakness.DES: "DES",
    Weakness.RC4: "RC4",
    Weakness.TRIPLE_DES: "3DES",
    Weakness.SMALL_DH: "a Diffie-Hellman group under 2048 bits",
    Weakness.STATIC_RSA: "static RSA",
}
_BROKEN = (Weakness.NULL, Weakness.ANONYMOUS, Weakness.EXPORT, Weakness.DES)
_WEAK = (Weakness.RC4, Weakness.TRIPLE_DES, Weakness.SMALL_DH)


def run(facts: Facts) -> Iterator[Outcome]:
    """For each door what it takes of each kind; or what could not be tried; or that all is well."""
    for door, tls in with_tls(facts):
        if tls.unknown is not None:
            yield Outcome("unknown", door.place, unknown=tls.unknown)
            continue
        taken = _judged(door, tls.weak)
        kinds = (("broken", _BROKEN), ("weak", _WEAK), ("no-secrecy", (Weakness.STATIC_RSA,)))
        for code, families in kinds:
            found = [_WORDS[family] for family in families if family in taken]
            if found:
                seen = evidence(facts, door, f"accepts {', '.join(found)}")
                yield Outcome(code, door.place, {"families": " and ".join(found)}, seen)
        if tls.untried:
            yield Outcome("unknown", door.place, unknown=tls.untried[0][1])
        elif not taken:
            yield Outcome("strong", door.place, {}, evidence(facts, door, tls.chosen))


def _judged(door: DoorFacts, weak: tuple[Weakness, ...]) -> frozenset[Weakness]:
    """Between servers, where nobody checks certificates (RFC 7435), a suite without one is as good, so it is no fault
    there."""
    return frozenset(weak) - ({Weakness.ANONYMOUS} if between_servers(door) else frozenset())
