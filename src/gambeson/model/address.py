"""Mail addresses in the one form in which they are stored, compared and counted.

Two spellings of one address must never be two accounts, neither for the policy nor for the throttle,
and a domain belongs to one organisation only if its spelling is settled first. Rules:

* the domain is turned into A-labels (RFC 5890 section 2.3.2.1) and lower case, without trailing dot;
* the local part is NFC (RFC 6532 section 3.1) and lower case. RFC 5321 section 2.4 lets a server
  tell ``A@`` from ``a@``; no mail server that people run does, and telling them apart here would
  give one mailbox two accounts with two policies;
* quoted local parts, address literals, route addresses and comments are refused: no account has one.
"""

from __future__ import annotations

import re
import unicodedata

MAX_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 253  # RFC 5321 section 4.5.3.1.2 says 255 with the length bytes of the DNS counted in
MAX_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3: a path of 256 less its angle brackets

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_ATEXT = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~")
# What nearly every local part is, looked at in one step: a Dot-string in ASCII of no more than MAX_LOCAL octets.
_PLAIN_LOCAL = re.compile(
    r"(?=.{1,64}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z"
)
# IDNA 2003 (what the standard library speaks) folds these away, IDNA 2008 keeps them: the same
# text would name two domains, so only the unambiguous A-label is taken.
_DEVIATING = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")


def canonical(address: str) -> str:
    """``address`` in canonical form. Raises ValueError with one sentence where it is not one."""
    if len(address) > 4 * MAX_ADDRESS:
        raise ValueError(f"An address has at most {MAX_ADDRESS} characters.")
    local, at, domain = address.strip().rpartition("@")
    if not at or not local or not domain:
        raise ValueError(f"{_shown(address)} is not an address: write it as name@domain.")
    whole = f"{_canonical_local(local, address)}@{canonical_domain(domain)}"
    if len(whole.encode()) > MAX_ADDRESS:
        raise ValueError(f"{_shown(address)} is too long: an address has at most {MAX_ADDRESS} characters.")
    return whole


def canonical_domain(domain: str) -> str:
    """``domain`` as lower-case A-labels. Raises ValueError with one sentence where it is not one."""
    if len(domain) > MAX_DOMAIN + 1:
        raise ValueError(f"A domain has at most {MAX_DOMAIN} characters.")
    plain = domain.strip()
    if not _DEVIATING.isdisjoint(plain):
        raise ValueError(f"{_shown(domain)} can be read as two domains: write it in its xn-- form.")
    if not plain.isascii():
        try:
            plain = plain.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError(f"{_shown(domain)} is not a domain name: check its spelling.") from None
    plain = plain.lower().removesuffix(".")
    labels = plain.split(".")
    fine = len(plain) <= MAX_DOMAIN and all(_LABEL.match(label) for label in labels)
    if not fine or labels[-1].isdigit() or not all(_is_a_label(x) for x in labels if x.startswith("xn--")):
        raise ValueError(f"{_shown(domain)} is not a domain name: check its spelling.")
    return plain


def domain_of(address: str) -> str:
    """The domain of an address that is canonical already."""
    return address.rpartition("@")[2]


def _canonical_local(local: str, address: str) -> str:
    if _PLAIN_LOCAL.match(local):
        return local.lower()
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())
    # RFC 5321 section 4.1.2: Dot-string, with something between any two dots.
    fine = all(atom and all(_is_atext(c) for c in atom) for atom in text.split("."))
    if not fine or len(text.encode("utf-8", "surrogatepass")) > MAX_LOCAL:
        raise ValueError(f"{_shown(address)} is not an address: the part before @ is not valid.")
    return text


def _is_atext(char: str) -> bool:
    if char.isascii():
        return char in _ATEXT
    # RFC 6531 section 3.3 adds UTF-8; separators, controls, surrogates and unassigned are kept out.
    return unicodedata.category(char)[0] in "LMNPS"


def _is_a_label(label: str) -> bool:
    try:
        return bool(label[4:].encode("ascii").decode("punycode"))
    except UnicodeError:
        return False


def _shown(text: str) -> str:
    """Untrusted text, short and printable, for a sentence."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")
