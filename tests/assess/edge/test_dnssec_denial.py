"""Proofs of denial against zones made up at random: what is true can be proven, and nothing false ever is."""

from __future__ import annotations

import base64

import dns.dnssec
import dns.name
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.NSEC import NSEC
from dns.rdtypes.ANY.NSEC3 import NSEC3
from dns.rdtypes.util import Bitmap
from hypothesis import given
from hypothesis import strategies as st

from gambeson.assess.edge.dnssec import NotSignedError
from gambeson.assess.edge.dnssec_denial import MAX_ITERATIONS, Cut, Denial, Proof, has

APEX = dns.name.from_text("example.")
TYPE = {
    name: dns.rdatatype.from_text(name) for name in ("A", "MX", "NS", "SOA", "DS", "CNAME", "TXT", "DNAME")
}
LABELS = st.sampled_from([b"a", b"b", b"m", b"*", b"zz"])
OWNERS = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: dns.name.Name((*labels, *APEX.labels)))
SETS = st.sampled_from([("A",), ("MX", "TXT"), ("NS",), ("NS", "DS"), ("CNAME",)])


class Zone:
    """Names and their types, with the truth about any question. What is below a delegation is another zone's."""

    def __init__(self, names: dict[dns.name.Name, tuple[str, ...]], opt_out: bool = False) -> None:
        cuts = [name for name, kinds in names.items() if "NS" in kinds]
        kept = {n: k for n, k in names.items() if not any(n != cut and n.is_subdomain(cut) for cut in cuts)}
        self.names = {APEX: ("NS", "SOA", "MX"), **kept}
        self.opt_out = opt_out
        self.exists = set(self.names)
        for name in self.names:
            while name != APEX:
                name = name.parent()
                self.exists.add(name)

    def below_cut(self, name: dns.name.Name) -> bool:
        return any(
            "NS" in k and n != APEX and name != n and name.is_subdomain(n) for n, k in self.names.items()
        )

    def stands_for(self, name: dns.name.Name) -> dns.name.Name | None:
        """The name whose records are the answer, a wildcard's where there is one."""
        if name in self.exists:
            return name
        encloser = name
        while encloser not in self.exists:
            encloser = encloser.parent()
        wild = dns.name.Name((b"*", *encloser.labels))
        return wild if wild in self.exists else None

    def nsec(self) -> list[tuple[dns.name.Name, NSEC]]:
        names = sorted(self.names)
        return [
            (name, NSEC(1, dns.rdatatype.NSEC, names[(at + 1) % len(names)], bitmap(self.names[name])))
            for at, name in enumerate(names)
        ]

    def nsec3(self, iterations: int = 1) -> list[tuple[dns.name.Name, NSEC3]]:
        kinds = {name: self.names.get(name, ()) for name in self.exists}
        if self.opt_out:
            kinds = {name: found for name, found in kinds.items() if found != ("NS",)}
        ring = sorted((hashed(name, iterations), found) for name, found in kinds.items())
        flags = 1 if self.opt_out else 0
        return [
            (
                dns.name.Name((base64.b32hexencode(digest).lower(), *APEX.labels)),
                NSEC3(
                    1,
                    dns.rdatatype.NSEC3,
                    1,
                    flags,
                    iterations,
                    b"s",
                    ring[(at + 1) % len(ring)][0],
                    bitmap(found),
                ),
            )
            for at, (digest, found) in enumerate(ring)
        ]


def bitmap(kinds: tuple[str, ...]) -> object:
    return Bitmap.from_rdtypes([TYPE[kind] for kind in kinds]).windows


def hashed(name: dns.name.Name, iterations: int) -> bytes:
    return base64.b32hexdecode(dns.dnssec.nsec3_hash(name, b"s", iterations, 1))


def truth_no_name(zone: Zone, name: dns.name.Name) -> bool:
    return zone.stands_for(name) is None and not zone.below_cut(name)


def truth_no_type(zone: Zone, name: dns.name.Name, kind: str) -> bool:
    """Whether this zone can say that the type is not there: the name is its own, not handed down, no alias."""
    at = zone.stands_for(name)
    if at is None or zone.below_cut(name):
        return False
    kinds = zone.names.get(at, ())
    if "CNAME" in kinds or kind in kinds or (kind == "DS" and "SOA" in kinds):
        return False
    return kind == "DS" or "NS" not in kinds or "SOA" in kinds


ZONES = st.builds(Zone, st.dictionaries(OWNERS, SETS, max_size=7))


@given(ZONES, OWNERS, st.sampled_from(["A", "MX", "DS", "TXT"]), st.booleans())
def test_with_all_records_exactly_the_truth_is_proven(
    zone: Zone, name: dns.name.Name, kind: str, three: bool
) -> None:
    denial = Denial(APEX, [], zone.nsec3()) if three else Denial(APEX, zone.nsec(), [])
    assert (denial.no_name(name) is Proof.WHOLE) == truth_no_name(zone, name)
    assert (denial.no_type(name, TYPE[kind]) is Proof.WHOLE) == truth_no_type(zone, name, kind)
    assert Proof.GAP not in (denial.no_name(name), denial.no_type(name, TYPE[kind]))


@given(ZONES, OWNERS, st.sampled_from(["A", "MX", "DS", "TXT"]), st.booleans(), st.data())
def test_with_any_of_the_records_nothing_false_is_proven(
    zone: Zone, name: dns.name.Name, kind: str, three: bool, data: st.DataObject
) -> None:
    every = zone.nsec3() if three else zone.nsec()
    some = data.draw(st.lists(st.sampled_from(every), max_size=6))
    denial = Denial(APEX, [], some) if three else Denial(APEX, some, [])  # type: ignore[arg-type]
    if denial.no_name(name) is not Proof.NONE:
        assert truth_no_name(zone, name)
    if denial.no_type(name, TYPE[kind]) is not Proof.NONE:
        assert truth_no_type(zone, name, kind)
    cut = denial.cut(name)
    kinds = zone.names.get(name, ())
    if "DS" in kinds or zone.below_cut(name):
        assert cut is Cut.NOT_PROVEN
    elif "NS" in kinds and name != APEX:
        assert cut is not Cut.NO_CUT
    else:
        assert cut is not Cut.UNSIGNED


@given(st.builds(Zone, st.dictionaries(OWNERS, SETS, max_size=7), st.just(True)), OWNERS, st.data())
def test_opt_out_never_says_that_an_unsigned_delegation_is_no_delegation(
    zone: Zone, name: dns.name.Name, data: st.DataObject
) -> None:
    some = data.draw(st.lists(st.sampled_from(zone.nsec3()), max_size=6))
    denial = Denial(APEX, [], some)
    if zone.names.get(name) == ("NS",):
        assert denial.cut(name) is not Cut.NO_CUT
        assert denial.no_name(name) is not Proof.WHOLE
    if "DS" in zone.names.get(name, ()):
        assert denial.cut(name) is Cut.NOT_PROVEN


@pytest.mark.parametrize("three", [False, True])
def test_what_came_out_of_a_wildcard(three: bool) -> None:
    zone = Zone({dns.name.from_text(text): ("A",) for text in ("*.w.example.", "x.w.example.", "m.example.")})
    denial = Denial(APEX, [], zone.nsec3()) if three else Denial(APEX, zone.nsec(), [])
    assert denial.no_closer(dns.name.from_text("q.w.example."), 2) is Proof.WHOLE
    assert denial.no_closer(dns.name.from_text("x.w.example."), 2) is Proof.NONE
    empty = Denial(APEX, [], [])
    assert empty.no_closer(dns.name.from_text("q.w.example."), 2) is Proof.NONE


@pytest.mark.parametrize("three", [False, True])
def test_the_child_cannot_deny_its_own_ds(three: bool) -> None:
    zone = Zone({})
    denial = Denial(APEX, [], zone.nsec3()) if three else Denial(APEX, zone.nsec(), [])
    assert denial.cut(APEX) is Cut.NOT_PROVEN
    assert denial.no_type(APEX, TYPE["DS"]) is Proof.NONE
    assert denial.no_type(APEX, TYPE["TXT"]) is Proof.WHOLE


def test_hashing_has_its_limit() -> None:
    zone = Zone({})
    Denial(APEX, [], zone.nsec3(MAX_ITERATIONS))
    with pytest.raises(NotSignedError):
        Denial(APEX, [], zone.nsec3(MAX_ITERATIONS + 1))


def test_a_hash_that_nobody_knows_counts_as_not_signed() -> None:
    (owner, record), *_ = Zone({}).nsec3()
    other = NSEC3(1, dns.rdatatype.NSEC3, 9, 0, 0, b"", record.next, ())
    with pytest.raises(NotSignedError):
        Denial(APEX, [], [(owner, other)])


def test_the_type_map() -> None:
    record = NSEC(
        1,
        dns.rdatatype.NSEC,
        APEX,
        Bitmap.from_rdtypes([1, 257, dns.rdatatype.RdataType.make(65280)]).windows,
    )
    assert [kind for kind in range(66000) if has(record, kind)] == [1, 257, 65280]
