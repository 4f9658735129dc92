"""Makes docs/pictures/portal.png and sign-in.png anew, from the playground's own portal in Chromium:

./dev run tests/e2e/pictures.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2] / "src")]

from e2e.test_browser import CHIARA, Stage, enrol  # noqa: E402
from peers.chromium import Chromium  # noqa: E402
from peers.clients import Login, imap  # noqa: E402
from peers.gambeson import Gambeson  # noqa: E402

PICTURES = HERE.parents[2] / "docs" / "pictures"
SIGN_IN, PORTAL = (1000, 700), (1120, 900)


def main() -> None:
    """Two pictures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Gambeson(Path(folder) / "data") as gambeson,
        Chromium([gambeson.data / "tls" / "certificate.pem"]) as chromium,
    ):
        stage = Stage(gambeson, chromium)
        enrol(stage)
        with stage.chiara(size=SIGN_IN) as page:
            page.goto(f"{stage.mail}/owa/")
            page.screenshot(path=PICTURES / "sign-in.png")
        with stage.chiara(size=PORTAL) as page:
            stage.with_passkey(page)
            for name in ("Laptop", "Phone"):
                stage.add_device(page, name, "other")
                secret = page.locator("code.secret").inner_text()
                client = imap(Login(gambeson, CHIARA, secret))
                client.login(CHIARA, secret)
                client.logout()
            ends = time.monotonic() + 30
            while (
                page.goto(f"{stage.portal}/")
                and page.locator("section[aria-labelledby=devices] td:text-is('–')").count()
            ):
                assert time.monotonic() < ends, "the devices' last use is not there"
            below = page.locator("section[aria-labelledby=sign-ins]").bounding_box()
            assert below is not None
            clip = {"x": 0.0, "y": 0.0, "width": float(PORTAL[0]), "height": below["y"]}
            page.screenshot(path=PICTURES / "portal.png", full_page=True, clip=clip)


if __name__ == "__main__":
    main()
