"""Writes the documents that are made from the code: settings, sample file, mail programs."""

from __future__ import annotations

from pathlib import Path

from gambeson.guard.core.web.clients import document, load_clients
from gambeson.settings.document import reference, sample

ROOT = Path(__file__).resolve().parent.parent


def documents() -> dict[Path, str]:
    """Path -> what should stand there."""
    return {
        ROOT / "docs/reference/settings.md": reference(),
        ROOT / "examples/gambeson.toml": sample(),
        ROOT / "docs/clients.md": document(load_clients()),
    }


def main() -> None:
    """Writes what differs and names it."""
    for path, text in documents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
