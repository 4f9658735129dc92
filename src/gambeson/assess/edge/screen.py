"""The answer on one screen: three sentences, then the lines, each with its next step.

A terminal has so many rows: the worst lines are said whole, the others by their titles, and nothing is left out unsaid.
Without a terminal there is no screen to fit, and everything is said whole.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gambeson.assess.core.check import Light
from gambeson.assess.core.evaluate import Line, because
from gambeson.assess.core.report import Report
from gambeson.assess.core.unknown import Unknown

_WORD = {Light.RED: "RED", Light.AMBER: "AMBER", Light.GREEN: "green", Light.UNKNOWN: "?"}
_COLOUR = {Light.RED: "1;31", Light.AMBER: "33", Light.GREEN: "32", Light.UNKNOWN: "36"}
_COUNTED = ((Light.RED, "red"), (Light.AMBER, "amber"), (Light.GREEN, "green"), (Light.UNKNOWN, "unknown"))
_MARGIN = 7
_WIDEST, _NARROWEST = 110, 40
_LEAST = 3  # lines that are said whole on the lowest of terminals
_SHORT = "--all says each of them whole; --html FILE writes it all down, with how we know."


def screen(report: Report, *, width: int = 80, height: int | None = None, colour: bool = False) -> str:
    """The answer as text, ``width`` columns wide and, as far as it can be, no more than ``height`` rows high (None: as
    high as it gets). What peers said was cleaned when the lines were made."""
    width = max(_NARROWEST, min(width, _WIDEST))
    lines = [line for line in report.lines if line.light is not Light.GREEN]
    whole = [_whole(line, width, colour) for line in lines]
    count = len(lines)
    text = _page(report, whole, [], width, colour)
    while height is not None and count > _LEAST and text.count("\n") >= height:  # a prompt wants the last row
        count -= 1
        text = _page(report, whole[:count], lines[count:], width, colour)
    return text


def _page(report: Report, whole: Sequence[str], rest: Sequence[Line], width: int, colour: bool) -> str:
    parts = [*(textwrap.fill(sentence, width) for sentence in report.sentences), "", *whole]
    for light in (Light.RED, Light.AMBER, Light.UNKNOWN):
        if titles := list(dict.fromkeys(_title(line) for line in rest if line.light is light)):
            begun = len(whole) > 0 and report.lines[len(whole) - 1].light is light
            parts.append(
                _paragraph(_mark(light, colour), ("Also: " if begun else "") + "; ".join(titles) + ".", width)
            )
    if good := list(dict.fromkeys(line.check.title for line in report.lines if line.light is Light.GREEN)):
        parts.append(_paragraph(_mark(Light.GREEN, colour), "; ".join(good) + ".", width))
    if report.left_out:
        parts += ["", textwrap.fill("Not looked at: " + " ".join(report.left_out), width)]
    counts = ", ".join(f"{report.count(light)} {word}" for light, word in _COUNTED)
    took = f"{counts}. Nothing was changed, no sign-in was tried."
    parts += ["", textwrap.fill(took, width)]
    if rest:
        parts.append(textwrap.fill(_SHORT, width))
    return "\n".join(parts) + "\n"


def _whole(line: Line, width: int, colour: bool) -> str:
    said = _paragraph(_mark(line.light, colour), line.sentence, width)
    return said + ("\n" + _paragraph(" " * _MARGIN + "-> ", line.step, width) if line.step else "")


def _title(line: Line) -> str:
    """What stands for a line that is not said whole; of what is not known, the reason too."""
    if line.light is not Light.UNKNOWN:
        return line.check.title
    unknown = line.outcomes[0].unknown
    why = because(Unknown(unknown.cause)) if unknown is not None else "it does not show from outside"
    return f"{line.check.title} ({why})"


def _mark(light: Light, colour: bool) -> str:
    word = _WORD[light].ljust(_MARGIN)
    return f"\x1b[{_COLOUR[light]}m{word}\x1b[0m" if colour else word


def _paragraph(mark: str, text: str, width: int) -> str:
    indent = " " * (_MARGIN + (3 if mark.endswith("-> ") else 0))
    filled = textwrap.wrap(text, width - len(indent), break_long_words=True, break_on_hyphens=False)
    return "\n".join([mark + (filled or [""])[0], *(indent + more for more in filled[1:])])
