"""The health report and how it looks, as a page and as JSON. Nothing secret is in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was measured: ``state`` is ok, warning or failed; ``text`` one sentence."""

    name: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Health:
    """``state`` is the worst of the lines. ``measured`` is RFC 3339 UTC."""

    version: str
    measured: str
    lines: tuple[Line, ...]

    @property
    def state(self) -> str:
        """ok, warning or failed."""
        states = {line.state for line in self.lines}
        return next((s for s in ("failed", "warning") if s in states), "ok")


def as_json(health: Health) -> dict[str, object]:
    """The document behind ``/health``."""
    return {"state": health.state, **asdict(health)}


_HEADLINES = {
    "ok": "The doors stand.",
    "warning": "The doors stand, and something wants a look.",
    "failed": "Something is down.",
}

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 3rem auto; max-width: 44rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
.ok { color: #13795b; } .warning { color: #96610a; } .failed { color: #c02b3a; }
@media (prefers-color-scheme: dark) {
  .ok { color: #5fd3a8; } .warning { color: #f0b95a; } .failed { color: #ff8a94; }
}
h2 { font-size: 1.2rem; margin-top: 2rem; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8884; border-radius: .25rem; }
p.quiet { opacity: .75; font-size: .9rem; }
"""


def as_page(health: Health) -> str:
    """The page: one headline, one row a measurement. Every text is escaped."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(line.name)}</th>'
        f'<td class="{escape(line.state)}">{escape(line.state)}</td><td>{escape(line.text)}</td></tr>'
        for line in health.lines
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gambeson: {escape(health.state)}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<h1 class="{escape(health.state)}">{_HEADLINES[health.state]}</h1>
<table>
<thead><tr><th scope="col">What</th><th scope="col">State</th><th scope="col">Measured</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<h2>To register a device</h2>
<p>The administrator of this machine registers it, and gives you its secret:</p>
<pre><code>./gambeson device enrol ADDRESS --name "Phone" --doors imap,submission</code></pre>
<p>In the device's mail program the secret takes the place of the password.</p>
<p class="quiet">Gambeson {escape(health.version)}, measured {escape(health.measured)}.
Everything else is on the command line for now: <code>./gambeson --help</code>.</p>
</main>
</body>
</html>
"""
