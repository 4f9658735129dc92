"""Extended Protection of Exchange: whether programs that sign in with NTLM or Kerberos would survive the door.

IIS compares the certificate that a program saw with its own (channel binding, RFC 5929 section 4). Behind a door that
ends TLS the two are alike only when both show the same certificate. The door itself offers neither NTLM nor Kerberos:
it matters where an application signs people in by itself (*as-is*).
"""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.model.server import UpstreamTls
from gambeson.model.web import Product, WebSignIn

from .behind import where
from .probe import ProbeError, ask
from .result import Check, Patient, ok, warning
from .web_names import shown, web_of

TURN = 67
NAME = "extended protection"


def look(patient: Patient) -> Iterator[Check]:
    """Every Exchange site over TLS. What can't be reached is the other checks' business."""
    web = web_of(patient)
    if web.door is None:
        return
    for site in web.sites:
        if site.product is not Product.EXCHANGE or site.endpoint.tls is UpstreamTls.NONE:
            continue
        try:
            behind = ask(site.endpoint, patient.seconds).certificate
            others = [
                host
                for host in (*site.hosts, *site.device_hosts)
                if shown(patient, web.door, host).certificate != behind
            ]
        except ProbeError:
            continue
        if not others:
            yield ok(NAME, f"{site.name}: the door shows the certificate that {where(site.endpoint)} has.")
            continue
        matters = (
            "this site signs people in by itself (as-is), so it matters here"
            if site.web_sign_in is WebSignIn.AS_IS
            else "nothing here needs them"
        )
        yield warning(
            NAME,
            f"{site.name}: for {', '.join(others[:5])} the door shows another certificate than "
            f"{where(site.endpoint)}, so NTLM and Kerberos with Extended Protection would fail. The door offers "
            f"neither; {matters}.",
            "Where programs must use them, install one certificate and key on both; leave Extended Protection on.",
        )
