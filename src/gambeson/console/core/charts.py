"""Our own charts: numbers in, SVG out, and beside each the same as rows for a table.

Rules: no style attribute and no script (the pages' content security policy forbids both; colours are classes of the
stylesheet); every picture has ``role="img"``, a title and a description; what a colour says is said by a shape or a
height too; any text is escaped, and what XML cannot carry is dropped; any number can be drawn, one that is none (NaN,
infinite, None) is a gap. Coordinates are whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from xml.sax.saxutils import escape

from gambeson.model.access import Rung

MAX_POINTS = 2_000  # of more the last are drawn
SERIES = 6  # how many kinds of bars the stylesheet tells apart; then it begins anew
Value = float | int | None


@dataclass(frozen=True, slots=True)
class Chart:
    """``svg`` is the picture, ``rows`` the same as (label, value) for a table. In a template it stands for its SVG."""

    svg: str
    rows: tuple[tuple[str, str], ...]

    def __html__(self) -> str:
        """The picture as safe markup: what templates ask for."""
        return self.svg


def sparkline(
    values: Sequence[Value],
    title: str,
    description: str,
    labels: Sequence[str] = (),
    *,
    width: int = 160,
    height: int = 32,
) -> Chart:
    """A line without axes, the last value as a dot. ``labels`` name the values in the table (else they are counted)."""
    values, labels = values[-MAX_POINTS:], labels[-MAX_POINTS:] if len(labels) == len(values) else ()
    shares = _shares(values)
    step = (width - 8) / max(1, len(values) - 1)
    lines: list[list[tuple[int, int]]] = [[]]
    for i, share in enumerate(shares):
        if share is None:
            lines.append([])
            continue
        lines[-1].append((round(4 + i * step), round(height - 4 - share * (height - 8))))
    parts = [f'<line class="chart-base" x1="4" y1="{height - 4}" x2="{width - 4}" y2="{height - 4}"/>']
    for line in lines:
        if len(line) > 1:
            points = " ".join(f"{x},{y}" for x, y in line)
            parts.append(f'<polyline class="chart-line" points="{points}"/>')
        elif line:  # between two gaps there is no line to see a value by
            parts.append(_dot(*line[0], "chart-dot"))
    drawn = [point for line in lines for point in line]
    if drawn:
        parts.append(_dot(*drawn[-1], "chart-last"))
    rows = tuple((labels[i] if labels else str(i + 1), _number(v)) for i, v in enumerate(values))
    return Chart(_svg("sparkline", width, height, title, description, parts), rows)


def bars(
    categories: Sequence[str],
    series: Mapping[str, Sequence[Value]],
    title: str,
    description: str,
    *,
    width: int = 480,
    height: int = 120,
) -> Chart:
    """Bars, one for each category, the series on top of one another. ``series`` is label: a value for each category
    (what is missing, below nought or no number counts as nought). Bars have classes ``chart-series-1`` and so on."""
    categories = categories[-MAX_POINTS:]
    columns = [[max(0.0, _real(_at(v, i))) for v in series.values()] for i in range(len(categories))]
    # Divided before they are added: the sum of large numbers is none.
    largest = max((x for column in columns for x in column), default=0.0) or 1.0
    columns = [[x / largest for x in column] for column in columns]
    highest = max((sum(column) for column in columns), default=0.0) or 1.0
    room, step = height - 8, (width - 8) / max(1, len(categories))
    parts = [f'<line class="chart-base" x1="4" y1="{height - 4}" x2="{width - 4}" y2="{height - 4}"/>']
    for i, column in enumerate(columns):
        left, right = round(4 + i * step), round(4 + (i + 1) * step)
        below = 0.0
        for k, share in enumerate(column):
            low, high = round(below / highest * room), round((below + share) / highest * room)
            below += share
            if share > 0:
                high = max(high, low + 1)  # little is not nothing
                parts.append(
                    f'<rect class="chart-bar chart-series-{k % SERIES + 1}" x="{left}" y="{height - 4 - high}" '
                    f'width="{max(1, right - left - 1)}" height="{high - low}"/>'
                )
    rows = tuple(
        (f"{category}, {label}" if len(series) > 1 else category, _number(_at(values, i)))
        for i, category in enumerate(categories)
        for label, values in series.items()
    )
    return Chart(_svg("bars", width, height, title, description, parts), rows)


def strip(
    states: Iterable[tuple[float, float, str]],
    title: str,
    description: str,
    *,
    moment: Callable[[float], str] = lambda at: _number(at),
    word: Callable[[str], str] = str,
    width: int = 480,
    height: int = 24,
) -> Chart:
    """States over time: (start, end, state) in order of time. Full height for *down* and *blind*, half for *degraded*,
    a quarter for *up*; blind is crossed out too. ``moment`` and ``word`` write times and states for the table."""
    found = [(a, b, state) for a, b, state in states if isfinite(a) and isfinite(b) and b > a][-MAX_POINTS:]
    parts = []
    first, last = (found[0][0], max(b for _, b, _ in found)) if found else (0.0, 1.0)
    for start, end, state in found:
        left, right = (round(4 + _between(at, first, last) * (width - 8)) for at in (start, end))
        tall = round((height - 4) * _HEIGHTS.get(state, 1.0))
        wide, top = max(1, right - left), height - 2 - tall
        kind = state if state in _HEIGHTS else "other"
        parts.append(
            f'<rect class="chart-strip chart-{kind}" x="{left}" y="{top}" width="{wide}" height="{tall}"/>'
        )
        if kind == "blind":
            parts.append(
                f'<line class="chart-cross" x1="{left}" y1="{top + tall}" x2="{left + wide}" y2="{top}"/>'
            )
    rows = tuple((f"{moment(start)} – {moment(end)}", word(state)) for start, end, state in found)
    return Chart(_svg("strip", width, height, title, description, parts), rows)


def ladder(
    demanded: Rung,
    reached: Rung | None,
    title: str,
    description: str,
    *,
    word: Callable[[Rung], str] = lambda rung: rung.word,
    labels: tuple[str, str] = ("demanded", "reached"),
    none: str = "-",
) -> Chart:
    """The proof ladder, weakest rung on the left and lowest: rungs up to ``reached`` are filled (None: none is), the
    demanded one bears a mark. Falling short gives the whole the class ``chart-short``."""
    step, height = 18, 32
    width = 8 + step * len(Rung)
    parts = []
    for i, rung in enumerate(Rung):
        tall = 6 + 3 * i
        filled = "chart-rung-on" if reached is not None and rung <= reached else "chart-rung-off"
        x, y = 4 + i * step, height - 2 - tall
        parts.append(
            f'<rect class="chart-rung {filled}" x="{x}" y="{y}" width="{step - 4}" height="{tall}"/>'
        )
        if rung is demanded:
            middle = x + (step - 4) // 2
            points = f"{middle - 4},{y - 7} {middle + 4},{y - 7} {middle},{y - 1}"
            parts.append(f'<polygon class="chart-demanded" points="{points}"/>')
    kind = "ladder chart-short" if reached is None or reached < demanded else "ladder"
    rows = ((labels[0], word(demanded)), (labels[1], word(reached) if reached is not None else none))
    return Chart(_svg(kind, width, height, title, description, parts), rows)


def favicon(state: str) -> str:
    """The tab's picture: *ok* a disc with a tick, *attention* a triangle, *danger* an octagon with a cross, *blind* an
    empty ring with a question mark (anything else is blind). It has colours of its own: no stylesheet reaches it."""
    shape = _FAVICONS.get(state, _FAVICONS["blind"])
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">{shape}</svg>'


_HEIGHTS = {"up": 0.25, "degraded": 0.5, "down": 1.0, "blind": 1.0}
_MARK = 'fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round"'
_FAVICONS = {
    "ok": f'<circle cx="16" cy="16" r="15" fill="#146c43"/><path d="M9 17l5 5 9-11" {_MARK}/>',
    "attention": '<path d="M16 1l15 29H1z" fill="#ffc107"/>'
    '<path d="M16 11v9M16 25v.5" fill="none" stroke="#000" stroke-width="4" stroke-linecap="round"/>',
    "danger": '<path d="M10 1h12l9 9v12l-9 9H10l-9-9V10z" fill="#b02a37"/>'
    f'<path d="M11 11l10 10M21 11l-10 10" {_MARK}/>',
    "blind": '<circle cx="16" cy="16" r="13" fill="#fff" stroke="#6c757d" stroke-width="4"/>'
    '<path d="M12 13a4 4 0 1 1 5 4q-1 1-1 3M16 24v.5" fill="none" stroke="#495057" stroke-width="3" '
    'stroke-linecap="round"/>',
}


def _svg(kind: str, width: int, height: int, title: str, description: str, parts: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="chart chart-{kind}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<title>{_text(title)}</title><desc>{_text(description)}</desc>{''.join(parts)}</svg>"
    )


def _dot(x: int, y: int, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="2"/>'


def _text(said: str) -> str:
    """Escaped, without the characters that XML 1.0 section 2.2 leaves out."""
    return escape("".join(c for c in said if _carried(ord(c))))


def _carried(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code > 0xFFFF


def _real(value: Value) -> float:
    return _float(value) or 0.0


def _float(value: Value) -> float | None:
    """A number that can be drawn, else None."""
    try:
        return float(value) if value is not None and isfinite(value) else None
    except OverflowError:  # a whole number beyond any float
        return None


def _shares(values: Sequence[Value]) -> list[float | None]:
    """Each value between the smallest (or nought, if that is less) as 0 and the largest as 1."""
    numbers = [_float(v) for v in values]
    real = [n for n in numbers if n is not None]
    low, high = min((0.0, *real)), max((0.0, *real))
    return [None if n is None else _between(n, low, high) for n in numbers]


def _between(value: float, low: float, high: float) -> float:
    """Where ``value`` lies from ``low`` (0) to ``high`` (1). Halved first, as a difference may be beyond a float."""
    span = high / 2 - low / 2
    return min(1.0, max(0.0, (value / 2 - low / 2) / span)) if span > 0 else 0.0


def _at(values: Sequence[Value], i: int) -> Value:
    return values[i] if i < len(values) else None


def _number(value: Value) -> str:
    """As short as it can be said: whole numbers without a point, a gap as a dash."""
    number = _float(value)
    if number is None:
        return "-"
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else f"{number:.6g}"
