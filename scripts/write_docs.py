"""Writes the documents that are made from the code: settings, sample file, mail programs, the portal's and the API's
description."""

from __future__ import annotations

import json
from pathlib import Path

from gambeson.console.api import document as api
from gambeson.console.api.operation import operations
from gambeson.console.portal.description import description
from gambeson.guard.core.web.clients import document, load_clients, readme_table
from gambeson.settings.document import reference, sample

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- mail programs: made by ./dev docs -->\n", "<!-- end of mail programs -->"


def documents() -> dict[Path, str]:
    """Path -> what should stand there."""
    return {
        ROOT / "docs/reference/settings.md": reference(),
        ROOT / "examples/gambeson.toml": sample(),
        ROOT / "docs/clients.md": document(load_clients()),
        ROOT / "docs/schemas/portal-api.json": json.dumps(description(), indent=1) + "\n",
        ROOT / "docs/schemas/openapi.json": api.text(operations()),
        README: between(README.read_text(encoding="utf-8"), "\n" + readme_table(load_clients()) + "\n"),
    }


def between(text: str, made: str) -> str:
    """The text with ``made`` between its two markers. Raises ValueError where they are not there once each."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError("README.md lost the markers of its table of mail programs")
    return head + begin + made + end + tail


def main() -> None:
    """Writes what differs and names it."""
    for path, text in documents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
