"""What a person is told: one sentence that says what to do. Prepared once per organisation.

Whoever proved nothing hears the same whether name and password were right, wrong or made up; only whoever
holds a real credential hears what is wrong with it.
"""

from __future__ import annotations

from gambeson.model.access import Rung
from gambeson.model.decision import Opinion
from gambeson.model.organisation import Organisation


class Sentences:
    """The sentences of one organisation, with the address where its people register a device."""

    __slots__ = ("_by_reason", "_opinion", "_rung", "enrol")

    def __init__(self, organisation: Organisation | None) -> None:
        url = organisation.enrolment_url if organisation is not None else ""
        at = f" at {url}" if url else " (your administrator knows where)"
        self.enrol = f"register this device{at}"
        self._rung = {
            rung: f"A password alone does not open this door: {self.enrol} and sign in with "
            + ("its certificate." if rung is Rung.DEVICE_KEY else "the device secret that you get there.")
            for rung in Rung
        }
        self._by_reason = {
            "snapshot-stale": "This door has had no news from its policy and admits nobody new; try again "
            "in a few minutes, then tell your administrator.",
            "account-disabled": "This account is switched off; ask your administrator.",
            "device-blocked": "This device is blocked; ask your administrator.",
            "device-lost": "This device was reported lost; ask your administrator, or "
            + self.enrol
            + " anew.",
            "device-expired": f"This device's registration has ended; {self.enrol} anew.",
            "credential-expired": f"This device's credential has expired; {self.enrol} anew.",
            "credential-revoked": f"This device's credential was revoked; {self.enrol} anew.",
            "throttled": f"Too many failed sign-ins from your network; try again in an hour, or {self.enrol} "
            "and sign in with the device secret that you get there.",
            "not-encrypted": "This door needs TLS; switch on SSL/TLS or STARTTLS in your mail program.",
            "door-not-allowed": f"This device may not open this door; ask your administrator, or {self.enrol} "
            "for it.",
            "network-not-allowed": "This machine's credential does not work from this network; ask its owner.",
            "device-quarantined": "This device waits for approval; your administrator can approve it.",
            "single-sign-on-not-offered": "Single sign-on is not offered at this door yet; choose 'normal "
            "password' in your mail program, then " + self.enrol + " and use its device secret.",
            "cloud-client": "This program reads mail through its maker's cloud, which is not allowed here; use another "
            "program, or ask your administrator.",
            "session-ended": "You signed out, or your session was ended; please sign in again.",
            "no-rule": "No rule of the policy lets this in; ask your administrator.",
        }
        self._opinion = {
            Opinion.ALLOW: "Welcome.",
            Opinion.CHALLENGE: f"This sign-in needs a stronger proof; {self.enrol}.",
            Opinion.QUARANTINE: self._by_reason["device-quarantined"],
            Opinion.DENY: "The policy does not let this in; ask your administrator.",
        }

    def because(self, reason: str, demanded: Rung) -> str:
        """The sentence of a floor. Reasons that only the record may know get the common one."""
        return self._by_reason.get(reason) or self._rung[demanded]

    def too_low(self, demanded: Rung) -> str:
        """For whoever has proven too little for this door (``demanded``: its floor)."""
        return self._rung[demanded]

    def of(self, opinion: Opinion) -> str:
        """A rule's sentence where it brings none of its own."""
        return self._opinion[opinion]
