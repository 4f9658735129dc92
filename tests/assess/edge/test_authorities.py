"""The verdict on a chain, and that each reason is told from the others."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from assess.tls_peers import DAY, NOW, Issued, issue
from gambeson.assess.core.tls import Trust
from gambeson.assess.edge.authorities import Authorities, AuthoritiesError

AT = NOW.timestamp() + 3600
HOST = "mail.example.org"
ROOT = issue("Root", authority=True, organisation="Known", ends=NOW + 3000 * DAY)
BETWEEN = issue("Between", ROOT, authority=True, ends=NOW + 1000 * DAY)
LEAF = issue(HOST, BETWEEN, HOST)
STRANGE = issue("Strange root", authority=True)
AUTHORITIES = Authorities(ROOT.pem)


def leaf(issuer: Issued | None = BETWEEN, *names: str, **more: object) -> Issued:
    return issue(HOST, issuer, *(names or (HOST,)), **more)  # type: ignore[arg-type]


def usage(which: x509.ObjectIdentifier) -> list[x509.ExtensionType]:
    return [x509.ExtendedKeyUsage([which])]


def where(address: str) -> list[x509.ExtensionType]:
    location = x509.UniformResourceIdentifier(address)
    return [
        x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)]
        )
    ]


NOT_AN_AUTHORITY = leaf(ROOT)
SAYS_SO = leaf(ROOT, extensions=[x509.BasicConstraints(ca=False, path_length=None)])
OVER = issue("Between, over", ROOT, authority=True, begins=NOW - 9 * DAY, ends=NOW - DAY)
TABLE = [
    ("in order", (LEAF, BETWEEN), Trust.TRUSTED, ""),
    ("with the root", (LEAF, BETWEEN, ROOT), Trust.TRUSTED, ""),
    ("out of order", (LEAF, ROOT, BETWEEN), Trust.TRUSTED, ""),
    ("with a stray one", (LEAF, STRANGE, BETWEEN), Trust.TRUSTED, ""),
    ("twice", (LEAF, LEAF, BETWEEN, BETWEEN), Trust.TRUSTED, ""),
    ("of the root itself", (leaf(ROOT),), Trust.TRUSTED, ""),
    ("wildcard", (leaf(ROOT, "*.example.org"),), Trust.TRUSTED, ""),
    ("first name odd", (leaf(ROOT, "_odd name", HOST),), Trust.TRUSTED, ""),
    ("Ed25519", (leaf(ROOT, key=ed25519.Ed25519PrivateKey.generate()),), Trust.TRUSTED, ""),
    ("for servers", (leaf(ROOT, extensions=usage(ExtendedKeyUsageOID.SERVER_AUTH)),), Trust.TRUSTED, ""),
    ("self", (leaf(None),), Trust.SELF_SIGNED, "it is signed by itself"),
    ("self, with others", (leaf(None), BETWEEN), Trust.SELF_SIGNED, "it is signed by itself"),
    ("strange", (leaf(STRANGE), STRANGE), Trust.UNKNOWN_ISSUER, "“Strange root” is not one that clients know"),
    ("strange, alone", (leaf(STRANGE),), Trust.UNKNOWN_ISSUER, "“Strange root” is not one that clients know"),
    (
        "missing, of a known organisation",
        (leaf(issue("Second", ROOT, authority=True, organisation="Known")),),
        Trust.INCOMPLETE,
        "the certificate of “Second” is missing in the chain",
    ),
    (
        "missing, to be had in public",
        (leaf(STRANGE, extensions=where("http://ca.example/second.cer")),),
        Trust.INCOMPLETE,
        "the certificate of “Strange root” is missing",
    ),
    ("over", (leaf(ROOT, begins=NOW - 9 * DAY, ends=NOW - DAY),), Trust.EXPIRED, "it ended on "),
    ("over and its own", (leaf(None, begins=NOW - 9 * DAY, ends=NOW - DAY),), Trust.EXPIRED, "it ended on "),
    ("between is over", (leaf(OVER), OVER), Trust.EXPIRED, "the authority “Between, over” ended on "),
    ("not yet", (leaf(ROOT, begins=NOW + 2 * DAY),), Trust.NOT_YET_VALID, "it begins on "),
    ("no name", (issue(HOST, ROOT),), Trust.INVALID, "no name of a host"),
    ("only nonsense names", (leaf(ROOT, "_odd name"),), Trust.INVALID, "none of its names is a host's"),
    ("for clients", (leaf(ROOT, extensions=usage(ExtendedKeyUsageOID.CLIENT_AUTH)),), Trust.INVALID, "for servers"),
    ("of what says it is no authority", (leaf(SAYS_SO), SAYS_SO), Trust.INVALID, "cA must be asserted"),
    ("of no authority", (leaf(NOT_AN_AUTHORITY), NOT_AN_AUTHORITY), Trust.INVALID, "basicConstraints"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("chain", "trust", "detail"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_verdicts(chain: tuple[Issued, ...], trust: Trust, detail: str) -> None:
    found, reason = AUTHORITIES.judge([one.der for one in chain], AT)
    assert found is trust
    assert detail in reason


def test_time_is_an_argument() -> None:
    chain = [LEAF.der, BETWEEN.der]
    assert AUTHORITIES.judge(chain, AT + 100 * 86400)[0] is Trust.EXPIRED
    assert AUTHORITIES.judge(chain, AT - 30 * 86400)[0] is Trust.NOT_YET_VALID
    for absurd in (-1e30, 1e30, float("inf"), float("nan")):
        assert AUTHORITIES.judge(chain, absurd)[0] is Trust.INVALID


def test_a_forged_signature() -> None:
    """Same name, another key: the chain looks right and is not."""
    forged = issue("Root", authority=True, organisation="Known")
    assert AUTHORITIES.judge([leaf(forged).der, forged.der], AT)[0] is Trust.UNKNOWN_ISSUER
    assert AUTHORITIES.judge([leaf(forged).der], AT)[0] is not Trust.TRUSTED


def test_an_old_signature_of_a_known_authority(tmp_path: Path) -> None:
    authority, request = ROOT.write(tmp_path), tmp_path / "request"
    new = ["openssl", "req", "-new", "-nodes", "-newkey", "rsa:2048", "-subj", f"/CN={HOST}"]
    subprocess.run(
        [*new, "-keyout", str(tmp_path / "key"), "-out", str(request)], check=True, capture_output=True
    )
    (tmp_path / "more").write_text(f"subjectAltName=DNS:{HOST}\n")
    sign = ["openssl", "x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority)]
    told = subprocess.run(
        [*sign, "-CAcreateserial", "-sha1", "-extfile", str(tmp_path / "more"), "-outform", "DER"],
        check=True,
        capture_output=True,
    )
    trust, detail = AUTHORITIES.judge([told.stdout], AT)
    assert (trust, bool(detail)) == (Trust.INVALID, True)


def test_a_certificate_that_was_given_as_an_authority() -> None:
    own = leaf(None)
    assert Authorities(own.pem).judge([own.der], AT) == (Trust.TRUSTED, "")


def test_unreadable_parts_of_a_chain_are_left_out() -> None:
    assert AUTHORITIES.judge([LEAF.der, b"garbage", BETWEEN.der], AT)[0] is Trust.TRUSTED


def test_a_chain_without_end() -> None:
    chain = [ROOT]
    for number in range(40):
        chain.append(issue(f"Number {number}", chain[-1], authority=True))
    deep = issue(HOST, chain[-1], HOST)
    trust, _ = AUTHORITIES.judge([deep.der, *(one.der for one in reversed(chain))], AT)
    assert trust is not Trust.TRUSTED


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "authorities.pem"
    path.write_bytes(
        b"# comment\n"
        + STRANGE.pem
        + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        + ROOT.pem
    )
    found = Authorities.from_file(path)
    assert found.judge([LEAF.der, BETWEEN.der], AT)[0] is Trust.TRUSTED
    with pytest.raises(AuthoritiesError, match=r"missing\.pem cannot be read: No such file"):
        Authorities.from_file(tmp_path / "missing.pem")
    path.write_text("nothing")
    with pytest.raises(AuthoritiesError, match="has no certificate of an authority in PEM form"):
        Authorities.from_file(path)


def test_the_machine_s_own() -> None:
    if not ssl.get_default_verify_paths().cafile:
        pytest.skip("needs ca-certificates")
    assert Authorities.system().judge([LEAF.der, BETWEEN.der], AT)[0] is Trust.UNKNOWN_ISSUER
