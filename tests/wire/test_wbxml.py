"""WBXML of ActiveSync: what is written is read back; anything else is refused with one error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire import wbxml
from gambeson.wire.wbxml import Node, WbxmlError, element, read, write
from gambeson.wire.wbxml_pages import AIR_SYNC, BASE, NUMBERS, PROVISION

# MS-ASWBXML section 4: the well-known octets of a first Provision request (version 1.3, public id 1, UTF-8).
PROVISION_ASK = bytes.fromhex(
    "03016a00000e45464748034d532d4541532d50726f766973696f6e696e672d5742584d4c000101 0101".replace(" ", "")
)


def test_a_provision_request_of_a_phone_is_read() -> None:
    root = read(PROVISION_ASK)
    assert root.name == "Provision"
    assert root.value("Policies", "Policy", "PolicyType") == "MS-EAS-Provisioning-WBXML"
    assert write(root) == PROVISION_ASK


def test_pages_switch_and_opaque_data_comes_through() -> None:
    root = element(
        AIR_SYNC,
        "Sync",
        element(BASE, "Body", element(BASE, "Data", b"\0" * 300)),
        element(AIR_SYNC, "Status", "1"),
    )
    again = read(write(root))
    assert again == root
    assert again.children[0].child("Data").opaque == b"\0" * 300
    assert again.value("Status") == "1"


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "begin"),
        (b"\x03\x01\x6a\x00", "too early"),
        (b"\x03\x01\x6a\x01a\x45\x01", "begin"),  # a string table
        (b"\x02\x01\x6a\x00\x45\x01", "begin"),  # version 1.2
        (b"\x03\x01\x6a\x00\xc5\x01", "profile"),  # attributes
        (b"\x03\x01\x6a\x00\x45\x02\x41\x01", "profile"),  # an entity
        (b"\x03\x01\x6a\x00\x45\x83\x00\x01", "profile"),  # a reference into the string table
        (b"\x03\x01\x6a\x00\x45\x01\x45\x01", "follows"),
        (b"\x03\x01\x6a\x00\x45\x03abc", "no end"),
        (b"\x03\x01\x6a\x00\x45\x03\xff\x00\x01", "UTF-8"),
        (b"\x03\x01\x6a\x00\x45\xc3\x7fabc", "longer"),
        (b"\x03\x01\x6a\x00\x45\xc3\xff\xff\xff\xff\xff\x7f", "length"),
        (b"\x03\x01\x6a\x00\x45\x03a\x00\x06\x01", "mixes"),
        (b"\x03\x01\x6a\x00" + b"\x45" * 40, "deep"),
        (b"\x03\x01\x6a\x00\x01", "without"),
        (b"\x03\x01\x6a\x00\x03a\x00", "outside"),
    ],
)
def test_what_is_outside_the_profile_is_refused(octets: bytes, why: str) -> None:
    with pytest.raises(WbxmlError, match=why):
        read(octets)


def test_many_elements_are_refused() -> None:
    with pytest.raises(WbxmlError, match="too many"):
        read(wbxml.HEADER + b"\x45" + b"\x06" * (wbxml.MAX_NODES + 1) + b"\x01")


@given(st.binary(max_size=400))
def test_any_octets_give_a_tree_or_the_one_error(octets: bytes) -> None:
    for start in (b"", wbxml.HEADER):
        try:
            root = read(start + octets)
        except WbxmlError:
            continue
        assert read(write(root)) == root


_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)
_LEAVES = st.sampled_from(sorted(NUMBERS)).flatmap(
    lambda key: st.one_of(
        st.just(element(*key)),
        _TEXT.map(lambda t: element(*key, t)),
        st.binary(min_size=1, max_size=200).map(lambda b: element(*key, b)),
    )
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.tuples(st.sampled_from(sorted(NUMBERS)), st.lists(inner, max_size=4)).map(
        lambda p: element(*p[0], *p[1])
    ),
    max_leaves=20,
)


@given(_TREES)
def test_every_tree_is_read_as_it_was_written(tree: Node) -> None:
    assert read(write(tree)) == tree


def test_unnamed_tags_keep_their_place() -> None:
    tree = Node(PROVISION, 0x3A, text="x")
    assert read(write(tree)) == tree
    assert tree.name == "14:0x3a"
