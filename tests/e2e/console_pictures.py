"""Makes docs/pictures/console-*.png anew, from the playground's own console in Chromium:

./dev run tests/e2e/console_pictures.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2] / "src")]

from e2e.test_console import ALMA, PAGES, WHOLE, Stage  # noqa: E402
from peers.chromium import Authenticator, Chromium  # noqa: E402
from peers.gambeson import Gambeson  # noqa: E402

PICTURES = HERE.parents[2] / "docs" / "pictures"
SIZE = (1280, 900)


def main() -> None:
    """One picture a page."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Gambeson(Path(folder) / "data") as gambeson,
        Chromium([gambeson.data / "tls" / "certificate.pem"]) as chromium,
    ):
        stage = Stage(gambeson, chromium)
        with chromium.visitor(size=SIZE) as page:
            device = Authenticator(page)
            page.goto(str(gambeson.ready["admin_link"]))
            page.screenshot(path=PICTURES / "console-welcome.png")
            page.click('form[action="/welcome"] button')
            page.wait_for_url("**/today**")
            stage.passkeys = device.passkeys
        for _ in range(3):
            stage.login(ALMA, gambeson.secret)
            stage.login(ALMA, "wrong")
        with stage.owner(size=SIZE) as page:
            paths = [f"{stage.org}/{path}" for path in PAGES] + [f"{stage.origin}{path}" for path in WHOLE]
            for path in paths:
                page.goto(path)
                whole = path.startswith(f"{stage.origin}/o/")
                name = path.removeprefix(f"{stage.org}/" if whole else f"{stage.origin}/").replace("/", "-")
                name = name if whole or name != "audit" else "audit-all"
                page.screenshot(path=PICTURES / f"console-{name}.png")


if __name__ == "__main__":
    main()
