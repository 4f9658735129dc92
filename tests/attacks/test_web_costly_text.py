"""Text that costs the door much more than whoever sends it. Found by a reviewer.

A head of 48 KiB of U+FDFA, which Unicode's compatibility mapping makes eighteen characters of, took a tenth of a
second of the door's one thread in the shields, before anybody had signed in: a few connections stopped every door.
"""

from __future__ import annotations

import unicodedata

import pytest

from gambeson.guard.core.web.canonical import plain, plain_path
from gambeson.wire import http_target
from gambeson.wire.autodiscover import read_pox
from gambeson.wire.http_target import canonical
from gambeson.wire.strict_xml import XmlError


def _octets(text: str) -> str:
    """As it comes in a header."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def test_no_character_becomes_many() -> None:
    longest = max(range(0xA0, 0x20000), key=lambda point: len(plain(_octets(chr(point)))))
    assert len(plain(_octets(chr(longest)))) <= 6, hex(longest)
    assert len(plain(_octets("\ufdfa" * 5000))) == 5000
    assert len(plain("%EF%B7%BA" * 5000)) == 5000


@pytest.mark.parametrize(
    ("disguised", "read"),
    [
        ("\uff38\uff0dBEResource", "x-beresource"),
        ("\U0001d41eval", "eval"),
        ("\u2025\u2215", "../"),
        ("\uff0e\uff0e\uff0f", "../"),
        ("\u24d0\u00aa\u1d43", "aaa"),
        ("\ufb01le", "file"),
        ("\uff05\uff14\uff11", "a"),  # %41 in wide letters
    ],
)
def test_what_becomes_ascii_still_does(disguised: str, read: str) -> None:
    assert plain(_octets(disguised)) == plain("".join(f"%{ord(c):02x}" for c in _octets(disguised))) == read
    assert plain_path(_octets(disguised) + "\xff") == read + plain_path("\xff")  # not all of it UTF-8


def test_everything_that_becomes_ascii_does() -> None:
    for point in (*range(0xA0, 0xD800), *range(0xE000, 0x20000)):
        mapped = unicodedata.normalize("NFKC", chr(point))
        if mapped.isascii() and mapped.isprintable() and "%" not in mapped:
            assert plain(_octets(chr(point))) == mapped.lower(), hex(point)


def test_a_path_is_mapped_character_by_character(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def normalize(form: str, text: str) -> str:
        asked.append(text)
        return unicodedata.normalize(form, text)

    class Spied:
        pass

    spied = Spied()
    spied.normalize = normalize  # type: ignore[attr-defined]
    monkeypatch.setattr(http_target, "unicodedata", spied)
    http_target._compatible.cache_clear()
    canonical("/owa/" + "%EF%B7%BA" * 800)
    assert asked == ["\ufdfa"]


def test_a_question_of_strangers_is_no_forest() -> None:
    """Sixteen thousand empty elements in 64 KiB took fifty milliseconds."""
    with pytest.raises(XmlError, match="too-many-elements"):
        read_pox(b"<Autodiscover><Request>" + b"<a/>" * 200 + b"</Request></Autodiscover>")
