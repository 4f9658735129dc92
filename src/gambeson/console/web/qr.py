"""A QR code (ISO/IEC 18004) as inline SVG: no data address, no picture file, its colours from the style sheet."""

from __future__ import annotations

from html import escape

import segno
from markupsafe import Markup

BORDER = 4  # modules of quiet zone, as the standard wants


def svg(text: str, title: str) -> Markup:
    """The picture, with a name for those who cannot see it."""
    code = segno.make(text, error="m", micro=False)
    size = code.symbol_size(border=0)[0] + 2 * BORDER
    path = []
    for y, row in enumerate(code.matrix):
        x = 0
        while x < len(row):
            run = 0
            while x + run < len(row) and row[x + run]:
                run += 1
            if run:
                path.append(f"M{x + BORDER} {y + BORDER}h{run}v1h-{run}z")
            x += run or 1
    # Every part is ours or escaped.
    return Markup(  # noqa: S704
        f'<svg class="qr" role="img" aria-label="{escape(title)}" viewBox="0 0 {size} {size}">'
        f'<rect class="qr-light" width="{size}" height="{size}"/><path class="qr-dark" d="{"".join(path)}"/></svg>'
    )
