"""From a Decision to what the client is told: one sentence in ASCII, of a length every protocol carries."""

from __future__ import annotations

import unicodedata

from gambeson.model.access import Mode
from gambeson.model.decision import Decision, Opinion
from gambeson.model.organisation import Organisation
from gambeson.wire.dialogue import Refusal

MAX_SENTENCE = 400  # an SMTP reply line has at most 512 octets (RFC 5321 section 4.5.3.1.5)
TEMPORARY = frozenset({"throttled", "snapshot-stale"})
# RFC 5530 section 3. Only a credential that was proven brings these reasons; what fails before has none.
_CODES = {
    "credential-expired": "EXPIRED",
    "device-expired": "EXPIRED",
    "account-disabled": "CONTACTADMIN",
}
_SOON = "You are let in, but soon no longer this way. "

# What a decomposition alone would lose.
_SPELLED = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "æ": "ae",
    }
    | {"–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "…": "..."}
)


def refusal(decision: Decision, organisation: Organisation | None) -> Refusal:
    """What to tell the client that ``decision`` keeps out. It depends on the decision alone, never on
    whether a name exists or a password is right."""
    sentence = ascii_sentence(decision.sentence)
    url = ascii_sentence(organisation.enrolment_url) if organisation is not None else ""
    if decision.opinion is Opinion.CHALLENGE and url and url not in sentence:
        sentence = f"{sentence[: MAX_SENTENCE - len(url) - 30].rstrip('. ')}; register this device at {url}"
    return Refusal(
        sentence=sentence[:MAX_SENTENCE],
        alert=decision.opinion in (Opinion.CHALLENGE, Opinion.QUARANTINE),
        temporary=decision.reason in TEMPORARY,
        close=decision.reason == "throttled",
        code=_CODES.get(decision.reason, ""),
    )


def warning(decision: Decision, organisation: Organisation | None) -> str:
    """What to tell whoever comes in only because the door does not enforce yet: in *warn* the sentence of the
    refusal that enforcement will bring; in *observe*, and to whoever is admitted, nothing."""
    if decision.opinion is Opinion.ALLOW or decision.mode is not Mode.WARN:
        return ""
    return _SOON + refusal(decision, organisation).sentence


def ascii_sentence(text: str) -> str:
    """``text`` in printable ASCII on one line: umlauts spelled out, accents dropped, the rest as ``?``."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).translate(_SPELLED))
    kept = (c for c in plain if not unicodedata.combining(c))
    shown = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in kept)
    return " ".join(shown.split())
