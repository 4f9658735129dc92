"""Templates, and that what goes into them stays a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.edge.identity.ber import Reader
from gambeson.guard.edge.identity.ldap_filter import Filter, FilterError, escape

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NASTY = st.text(st.sampled_from("*()\\\0{}&|!=a:x2A"), max_size=30)


def equality(octets: bytes) -> tuple[bytes, bytes]:
    inside = Reader(Reader(octets).take(0xA3))
    return inside.take(4), inside.take(4)


@given(TEXT | NASTY)
def test_a_value_arrives_as_it_is(value: str) -> None:
    assert equality(Filter("(mail={address})").encode(address=value)) == (b"mail", value.encode())


@given(TEXT | NASTY)
def test_escaping_and_parsing_are_each_others_inverse(value: str) -> None:
    assert equality(Filter(f"(mail={escape(value)})").encode()) == (b"mail", value.encode())


@given(NASTY, NASTY)
def test_no_value_changes_the_shape(address: str, name: str) -> None:
    template = Filter(
        "(&(objectClass=person)(|(mail={address})(proxyAddresses=smtp:{address})(uid=x{name}y)))"
    )

    def shape(tag: int, body: bytes) -> object:
        inside, parts = Reader(body), []
        while tag & 0x20 and inside.next_tag >= 0:
            parts.append(shape(*inside.any()))
        return tag, parts

    filled, plain = template.encode(address=address, name=name), template.encode(address="a", name="b")
    assert shape(*Reader(filled).any()) == shape(*Reader(plain).any())


@given(st.text(max_size=60) | st.text(st.sampled_from("(&|!)=*{}adressnm\\2a:<>~"), max_size=60))
def test_any_text_is_a_filter_or_one_error(text: str) -> None:
    try:
        Filter(text).encode(address="a", name="b")
    except FilterError:
        pass
    except UnicodeEncodeError:
        assert any("\ud800" <= c <= "\udfff" for c in text)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("(cn=*)", "87 02 636e"),
        ("(cn=a*b*c)", "a4 0f 0402636e 3009 800161 810162 820163"),
        ("(cn=*b*)", "a4 09 0402636e 3003 810162"),
        ("(!(cn=a))", "a2 09 a3 07 0402636e 040161"),
        ("(|(cn=a)(cn=*))", "a1 0d a3 07 0402636e 040161 87 02 636e"),
        ("(age>=5)", "a5 08 0403616765 040135"),
        ("(age<=5)", "a6 08 0403616765 040135"),
        ("(cn~=a)", "a8 07 0402636e 040161"),
        ("(cn=\\2a)", "a3 07 0402636e 04012a"),
        ("(cn=)", "a3 06 0402636e 0400"),
        ("(o:dn:=x)", "a9 09 82016f 830178 8401ff"),
        ("(m:1.2.3:=x)", "a9 0d 8105312e322e33 82016d 830178"),
        ("(:1.2.3:=x)", "a9 0a 8105312e322e33 830178"),
    ],
)
def test_forms(text: str, octets: str) -> None:
    assert Filter(text).encode() == bytes.fromhex(octets)


@pytest.mark.parametrize(
    "text",
    ["", "mail={address}", "(mail={address}", "(mail={address}))", "(mail={other})", "(=x)", "(&)", "(cn=a**b)",
     "(cn=\\zz)", "(cn=a\0)", "(:=x)", "(" * 40, "(cn=" + "x" * 5000 + ")", "(!(cn=a)(cn=b))"],
)  # fmt: skip
def test_what_is_no_filter_is_said_in_one_sentence(text: str) -> None:
    with pytest.raises(FilterError, match=r"^The filter is .*\.$"):
        Filter(text)
