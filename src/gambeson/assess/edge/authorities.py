"""What a client with the usual authorities would say of a chain, and why (RFC 5280 section 6), names left aside.

The verdict "trusted" is the library's own path validation. Where it says no, the chain is walked here once more, only
to find out which of the reasons that people can act on it is: too old, signed by itself, a certificate missing between,
or an authority that nobody knows.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import ssl
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import verification
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from gambeson.assess.core.tls import Trust
from gambeson.wire.lines import human

from .certificates import Unreadable, alternative_names, load, signature_hash

MAX_CHAIN = 12  # certificates of a chain that are looked at
MAX_FILE = 16 * 1024 * 1024
_PEM = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----"
)
_SHOWN = 120
_TRIED = 100  # names among which one must be a host's
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


class AuthoritiesError(Exception):
    """The file of authorities is of no use. The sentence says why."""


class Authorities:
    """Those who are believed. ``pem`` may have any number of certificates; those that cannot be read are left out.
    Raises AuthoritiesError where none is left."""

    def __init__(self, pem: bytes, source: str = "authorities") -> None:
        self._certificates = list(_readable(pem))
        if not self._certificates:
            raise AuthoritiesError(f"{source} has no certificate of an authority in PEM form.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._subjects = {c.subject.public_bytes() for c in self._certificates}
            self._organisations = {o for c in self._certificates for o in _organisations(c.subject)}
            self._store = verification.Store(self._certificates)

    @classmethod
    def system(cls) -> Self:
        """Those of this machine. Raises AuthoritiesError where it has none."""
        paths = ssl.get_default_verify_paths()
        if not paths.cafile:
            raise AuthoritiesError(
                "This machine has no file of authorities; install ca-certificates or give a file."
            )
        return cls.from_file(Path(paths.cafile))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Those in a PEM file. Raises AuthoritiesError."""
        try:
            with path.open("rb") as file:
                octets = file.read(MAX_FILE + 1)
        except OSError as error:
            raise AuthoritiesError(f"{path} cannot be read: {error.strerror}.") from None
        if len(octets) > MAX_FILE:
            raise AuthoritiesError(f"{path} is larger than {MAX_FILE // 1024 // 1024} MiB.")
        return cls(octets, str(path))

    def judge(self, chain: Sequence[bytes], now: float) -> tuple[Trust, str]:
        """The verdict on ``chain`` (DER, the server's own first) at ``now``, and its reason as part of a sentence.
        Raises nothing."""
        if not chain:
            return Trust.UNKNOWN, "no certificate was seen"
        leaf = load(chain[0])
        if leaf is None:
            return Trust.INVALID, "the certificate cannot be read"
        others = [other for der in chain[1:MAX_CHAIN] if (other := load(der)) is not None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                at = datetime.datetime.fromtimestamp(now, datetime.UTC)
                refusal = self._refusal(leaf, others, at)
                return (Trust.TRUSTED, "") if refusal is None else self._why(leaf, others, at, refusal)
            except (
                Exception
            ) as error:  # a certificate is hostile input, and the library has many ways to dislike one
                return Trust.INVALID, human(f"the certificate is malformed: {error}", _SHOWN)

    def _refusal(
        self, leaf: x509.Certificate, others: list[x509.Certificate], at: datetime.datetime
    ) -> str | None:
        """Why the library refuses the chain; None where it does not."""
        names = alternative_names(leaf)
        if not names:
            return "it has no name of a host in it (subjectAltName)"
        try:
            (
                verification.PolicyBuilder()
                .store(self._store)
                .time(at)
                .max_chain_depth(MAX_CHAIN)
                .extension_policies(ca_policy=_AUTHORITY, ee_policy=_SERVER)
                .build_server_verifier(_subject(names))
                .verify(leaf, others)
            )
        except verification.VerificationError as error:
            return str(error)
        except Unreadable as error:
            return f"it cannot be checked: {error}"
        return None

    def _why(
        self, leaf: x509.Certificate, others: list[x509.Certificate], at: datetime.datetime, refusal: str
    ) -> tuple[Trust, str]:
        path, anchored = self._path(leaf, others)
        for place, certificate in enumerate(path):
            what = "it" if place == 0 else f"the authority {_name(certificate.subject)}"
            if certificate.not_valid_after_utc < at:
                return Trust.EXPIRED, f"{what} ended on {_day(certificate.not_valid_after_utc)}"
            if certificate.not_valid_before_utc > at:
                return Trust.NOT_YET_VALID, f"{what} begins on {_day(certificate.not_valid_before_utc)}"
        last = path[-1]
        if anchored and (old := next((h for c in path if (h := _old_hash(c))), "")):
            return Trust.INVALID, f"it is signed with {old}, which programs no longer accept"
        if anchored:
            return Trust.INVALID, human(_plain(refusal), _SHOWN)
        if _signed(last, last):
            if len(path) == 1:
                return Trust.SELF_SIGNED, "it is signed by itself"
            return Trust.UNKNOWN_ISSUER, f"its authority {_name(last.subject)} is not one that clients know"
        if self._issued_in_public(last):
            return Trust.INCOMPLETE, f"the certificate of {_name(last.issuer)} is missing in the chain"
        return Trust.UNKNOWN_ISSUER, f"its authority {_name(last.issuer)} is not one that clients know"

    def _path(
        self, leaf: x509.Certificate, others: list[x509.Certificate]
    ) -> tuple[list[x509.Certificate], bool]:
        """From the leaf upwards as far as it goes, and whether it ends at one of the authorities."""
        path = [leaf]
        rest = list(others)
        while len(path) <= MAX_CHAIN:
            last = path[-1]
            if last.issuer.public_bytes() in self._subjects and any(
                _signed(last, authority) for authority in self._certificates
            ):
                return path, True
            # A certificate of the same name with another key may lie beside the right one.
            above = next((other for other in rest if other != last and _signed(last, other)), None)
            if above is None:
                return path, False
            rest.remove(above)
            path.append(above)
        return path, False

    def _issued_in_public(self, certificate: x509.Certificate) -> bool:
        """Whether the issuer's certificate is somewhere to be had: it says where, or an authority is of the same
        organisation."""
        if not self._organisations.isdisjoint(_organisations(certificate.issuer)):
            return True
        try:
            found = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        except (x509.ExtensionNotFound, x509.DuplicateExtension, *Unreadable):
            return False
        return any(entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS for entry in found)


def _readable(pem: bytes) -> Iterable[x509.Certificate]:
    for block in _PEM.findall(pem):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield x509.load_pem_x509_certificate(block)
            except Unreadable:
                continue


def _is_for_servers(
    policy: verification.Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    wanted = {x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usage is not None and wanted.isdisjoint(usage):
        raise ValueError("it is not meant for servers")


_AUTHORITY = verification.ExtensionPolicy.permit_all().require_present(
    x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
)
_SERVER = (
    verification.ExtensionPolicy.permit_all()
    .require_present(x509.SubjectAlternativeName, verification.Criticality.AGNOSTIC, None)
    .may_be_present(x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, _is_for_servers)
)


def _subject(names: Sequence[str]) -> x509.DNSName | x509.IPAddress:
    """One of the certificate's own names, so that the name is never what it fails for. Raises ValueError."""
    for name in names[:_TRIED]:
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            pass
        plain = f"any{name[1:]}" if name.startswith("*.") else name
        if _HOST.fullmatch(plain):
            return x509.DNSName(plain)
    raise ValueError("none of its names is a host's")


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether ``issuer`` signed it. An old signature that the library will not check counts by its name: what comes of
    this is only why a chain was refused, never that it is good."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except Unreadable:
        return True
    return True


def _old_hash(certificate: x509.Certificate) -> str:
    """The broken hash of its signature; empty where it has none."""
    try:
        found = signature_hash(certificate)
    except Unreadable:
        return ""
    return found.upper() if found in ("md2", "md4", "md5", "sha1") else ""


def _organisations(name: x509.Name) -> set[str]:
    try:
        found = name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except Unreadable:
        return set()
    return {str(attribute.value).casefold() for attribute in found}


def _name(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if found := name.get_attributes_for_oid(oid):
            return f"“{human(str(found[0].value), 64)}”"
    return "without a name"


def _day(moment: datetime.datetime) -> str:
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"


def _plain(refusal: str) -> str:
    """The library's sentence without its frame."""
    inner = refusal.split(" (encountered processing")[0].rsplit(": ", 1)[-1]
    return inner.strip() or "the chain does not hold"
