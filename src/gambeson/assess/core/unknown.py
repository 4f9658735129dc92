"""Why something is not known. Not known is neither good nor bad, and is always said with its cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What stood between us and the answer. The words are the field's own and stay as they are in JSON."""

    TIMEOUT = "timeout"  # asked, and nothing came within its time
    SERVFAIL = "servfail"  # a resolver says that it could not find out (RFC 1035 section 4.1.1)
    REFUSED = "refused"  # a resolver will not answer us
    BOGUS = "bogus"  # signed, and the signature does not hold (RFC 4035 section 5)
    UNREACHABLE = "unreachable"  # no route, or no address of a family that this machine has
    RATE_LIMITED = "rate-limited"  # the peer closed or said that we ask too much
    MALFORMED = "malformed"  # what came is not the protocol
    TOO_LONG = "too-long"  # more came than anybody needs to say
    TLS_FAILED = "tls-failed"  # no handshake came about, so what is behind it was not seen
    PRIVATE = "private"  # an address of private or special use, which is not probed unasked
    DEADLINE = "deadline"  # the whole look ran out of its time
    NOT_ASKED = "not-asked"  # left out on purpose
    DEFECT = "defect"  # a fault of our own check


@dataclass(frozen=True, slots=True)
class Unknown:
    """``cause``, and in ``detail`` what happened, as part of a sentence (``no answer from 192.0.2.1 in 3 s``)."""

    cause: Cause
    detail: str = ""
