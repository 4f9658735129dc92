"""XML from strangers: read strictly, written as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.strict_xml import Element, XmlError, charset_of, escape, read, write

BOMB = '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "' + "&b;" * 10 + '">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("reason", "octets", "charset"),
    [
        ("doctype", BOMB.encode(), ""),
        ("doctype", b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', ""),
        ("doctype", b"<!DOCTYPE a><a/>", ""),
        ("not-well-formed", b"<a>&b;</a>", ""),
        ("processing-instruction", b"<?go there?><a/>", ""),
        ("processing-instruction", b"<a><?go there?></a>", ""),
        ("encoding-differs", b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', ""),
        ("encoding-differs", b'<?xml version="1.0" encoding="utf-7"?><a/>', ""),
        ("encoding-differs", b'<?xml version="1.0" encoding="utf-16"?><a/>', ""),
        ("encoding-differs", b'<?xml version="1.1"?><a/>', ""),
        ("encoding-differs", b"<a/>", "utf-16"),
        ("encoding-differs", b"<a/>", "iso-8859-1"),
        ("encoding-differs", "<a/>".encode("utf-16"), "utf-8"),
        ("encoding", "<a/>".encode("utf-16-le"), ""),
        ("encoding", b"\xff\xfe\0\0<\0\0\0", ""),
        ("not-well-formed", b"<a>\xff</a>", ""),
        ("not-well-formed", b"<a>\xc0\xbc</a>", ""),
        ("not-well-formed", b"<a/><b/>", ""),
        ("not-well-formed", b"<a><b></a></b>", ""),
        ("not-well-formed", b'<a x="1" x="2"/>', ""),
        ("not-well-formed", b"<a>", ""),
        ("not-well-formed", b"", ""),
        ("too-many-elements", b"<a>" * 70 + b"</a>" * 70, ""),
        ("too-many-elements", b"<a>" + b"<b/>" * 20_001 + b"</a>", ""),
        ("too-long", b"<a>" + b" " * 200_000 + b"</a>", ""),
    ],
)
def test_what_is_refused(reason: str, octets: bytes, charset: str) -> None:
    with pytest.raises(XmlError) as error:
        read(octets, limit=150_000, charset=charset)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        '<s:a xmlns:s="urn:x" b="&lt;&quot;&#10;"><s:c>d &amp; &lt;e&gt;</s:c><f/>g</s:a>',
        "<a>\xfc€😀</a>",
        "<a><![CDATA[<b>&]]></a>",
    ],
)
def test_what_was_read_is_written_so_that_it_reads_the_same(text: str) -> None:
    for octets in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16")):
        tree = read(octets, limit=10_000)
        assert read(write(tree), limit=10_000) == tree


def test_parts_of_an_element() -> None:
    tree = read(b"<x:a xmlns:x='urn:x'> one <x:b>two</x:b></x:a>", limit=100)
    assert (tree.name, tree.local, tree.text) == ("x:a", "a", "one")
    assert tree.child("b") is not None
    assert tree.child("c") is None


def test_the_charset_of_a_content_type() -> None:
    assert charset_of('text/xml; charset="UTF-8"') == "utf-8"
    assert charset_of("text/xml") == ""


@given(st.binary(max_size=400))
def test_any_octets_give_a_tree_or_the_one_error(octets: bytes) -> None:
    try:
        tree = read(octets, limit=300)
    except XmlError:
        return
    assert tree.name


TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=30
)


@given(TEXTS, TEXTS)
def test_any_text_comes_through(text: str, attribute: str) -> None:
    tree = Element("a", {"b": attribute}, [text] if text else [])
    assert read(write(tree), limit=10_000) == tree
    assert "<" not in escape(text)
