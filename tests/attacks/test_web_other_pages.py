"""Another page's requests in the device lane: a browser adds certificates and remembered passwords to them by itself.

Found by a reviewer. ActiveSync's base64 query carries all that a request needs, so any page could have had mail sent by
a browser that holds a device's certificate, or was once told its secret.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from gambeson.guard.core.web.verdict import WebClient
from guard.edge.web.gates import ALMA, DEVICES, FINGERPRINT, MAIL, SOURCE, ask, basic, run

TARGET = "/Microsoft-Server-ActiveSync?Cmd=SendMail&User=alma&DeviceId=ABC&DeviceType=iPhone"
CERTIFICATE = WebClient(SOURCE, 4000, DEVICES, b"", FINGERPRINT)
OWN = f"https://{DEVICES}"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ((), 0),
        ((("origin", OWN),), 0),
        ((("sec-fetch-site", "none"),), 0),
        ((("sec-fetch-site", "same-origin"),), 0),
        ((("origin", "https://evil.example"),), 403),
        ((("origin", "null"),), 403),
        ((("origin", OWN), ("origin", "https://evil.example")), 403),
        ((("origin", f"{OWN}.evil.example"),), 403),
        ((("sec-fetch-site", "cross-site"),), 403),
        ((("sec-fetch-site", "same-site"),), 403),
        ((("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")), 403),
    ],
)
@pytest.mark.parametrize("how", ["certificate", "secret"])
def test_no_other_page_acts_with_a_devices_credential(how: str, said, status: int) -> None:
    async def talk(gates):
        more = {} if how == "certificate" else {"authorization": basic("alma@example.org", ALMA.text)}
        client = CERTIFICATE if how == "certificate" else WebClient(SOURCE, 4000, DEVICES)
        made = ask(TARGET, DEVICES, "POST", content_type="application/vnd.ms-sync.wbxml", body=True, **more)
        verdict = await gates.judge(replace(made, headers=(*made.headers, *said)), client)
        # The keeper of these tests takes no fingerprint, so with the certificate it is not admitted to the end.
        assert (getattr(verdict, "status", 0) == 403) is (status == 403)
        if status:
            (event,) = gates.events("door.request.refused")
            assert (event.data["why"], event.door) == ("origin", "eas")

    run(talk)


def test_a_browser_that_shows_nothing_learns_nothing_more() -> None:
    async def talk(gates):
        made = ask("/EWS/Exchange.asmx", MAIL, "POST", content_type="text/xml", origin="https://evil.example")
        assert (await gates.answer(made)).status == 403
        assert (
            await gates.answer(ask("/EWS/Exchange.asmx", MAIL, "POST", content_type="text/xml"))
        ).status == 401

    run(talk)
