"""TLS-RPT records (RFC 8460 section 3): where others report that mail to us could not be sent encrypted."""

from __future__ import annotations

from dataclasses import dataclass

from . import tag_list
from .dmarc import report_uri

MAX_URIS = 20


class TlsRptError(Exception):
    """The text is no TLS-RPT record. The sentence says why."""


@dataclass(frozen=True, slots=True)
class TlsRpt:
    """``mail`` are addresses, ``https`` are URLs; ``wrong`` what is neither, and so is not used."""

    mail: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def is_record(text: str) -> bool:
    """Whether a TXT record counts at all: others at the name are not looked at (RFC 8460 section 3)."""
    return text.startswith("v=TLSRPTv1;")


def parse(text: str) -> TlsRpt:
    """The record in ``text``. Raises TlsRptError; a record in which no address is good is one too."""
    if not is_record(text):
        raise TlsRptError("it does not begin with v=TLSRPTv1;")
    try:
        tags = dict(tag_list.parse(text))
    except tag_list.TagListError as error:
        raise TlsRptError(str(error)) from None
    mail, https, wrong = [], [], []
    for piece in tags.get("rua", "").split(",")[:MAX_URIS]:
        uri = report_uri(piece.strip(tag_list.SPACE))
        if uri is not None and uri.address:
            mail.append(uri.address)
        elif uri is not None and uri.uri.lower().startswith("https://"):
            https.append(uri.uri)
        elif piece.strip():
            wrong.append(piece.strip())
    if not mail and not https:
        raise TlsRptError("it names no mailto: or https: address for reports")
    return TlsRpt(tuple(mail), tuple(https), tuple(wrong))
