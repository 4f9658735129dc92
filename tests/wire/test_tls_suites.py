"""The table of suites against OpenSSL's own, and the narrowing."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from gambeson.wire import tls_suites
from gambeson.wire.tls_suites import NAMES, OLDER, SUSPECT, TLS13, families, name, with_unseen


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_names_are_iana_s() -> None:
    told = subprocess.run(
        ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    theirs = {
        int(high, 16) << 8 | int(low, 16): word
        for high, low, word in re.findall(r"0x(..),0x(..) - (TLS_\w+)", told)
    }
    both = theirs.keys() & NAMES.keys()
    assert len(both) > 50
    assert {n: NAMES[n] for n in both} == {n: theirs[n] for n in both}


@pytest.mark.parametrize(
    ("suite", "words"),
    [
        (0xC02F, set()),
        (0x1301, set()),
        (0x009C, {"static-rsa"}),
        (0x000A, {"3des", "static-rsa"}),
        (0x0005, {"rc4", "static-rsa"}),
        (0x0009, {"des", "static-rsa"}),
        (0x0016, {"3des", "dhe"}),
        (0x001B, {"3des", "anonymous"}),
        (0x0008, {"export"}),
        (0x0019, {"export"}),
        (0x003B, {"null"}),
        (0xC015, {"null"}),
        (0x0033, {"dhe"}),
        (0xFFFF, set()),
    ],
)
def test_families(suite: int, words: set[str]) -> None:
    assert families(suite) == words


def test_nothing_good_is_suspect_and_nothing_suspect_is_lost() -> None:
    assert not [name(suite) for suite in SUSPECT if not families(suite)]
    assert {suite for suite in OLDER if families(suite)} == set(SUSPECT)
    assert not set(TLS13) & set(OLDER)
    assert name(0xABCD) == "0xABCD"


def test_narrowing_ends_whatever_the_server_likes() -> None:
    """A server that takes everything and chooses as it likes is through after one hello a family."""
    for choose in (min, max, lambda offered: offered[0], lambda offered: offered[-1]):
        seen: set[str] = set()
        hellos = 0
        while offered := with_unseen(seen):
            hellos += 1
            seen |= families(choose(offered))
        assert seen == {
            tls_suites.NULL, tls_suites.ANONYMOUS, tls_suites.EXPORT, tls_suites.RC4, tls_suites.DES,
            tls_suites.TRIPLE_DES, tls_suites.STATIC_RSA, tls_suites.EPHEMERAL_DH,
        }  # fmt: skip
        assert hellos <= 8
