"""Writes the reference page and the sample settings file from the declarations. Both are checked in; a test and
``./dev docs`` keep them current."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from .config import Config
from .declare import declared, nested, toml_name

_WIDTH = 110


def reference() -> str:
    """The page ``docs/reference/settings.md``."""
    parts = [
        "# Settings",
        "One TOML file, named with `--config`, else `gambeson.toml` in the data directory. Everything in it is "
        "optional. `gambeson settings check FILE` finds mistakes, `gambeson settings sample` prints a file to begin "
        "with. Secrets never stand in it: where one is needed, name a file (`file:/path`, readable by its owner only), "
        "an environment variable (`env:NAME`) or a systemd credential (`credential:NAME`). Relative paths start at the "
        "settings file. This page is made from the program by `./dev docs`.",
    ]
    for of, header in _sections(Config, ""):
        parts += [f"## `{header}`" if header else "## At the top", _doc(of), _table(of)]
    return "\n\n".join(parts) + "\n"


def sample() -> str:
    """The file ``examples/gambeson.toml``: every setting with its default, commented out."""
    lines = _comment(
        "Settings of Gambeson. Every line that starts with #name shows a default, or an example where there is none; "
        "remove the # to change it. Where each comes from: docs/reference/settings.md."
    )
    for of, header in _sections(Config, ""):
        if header:
            lines += ["", *_comment(_doc(of)), ("#" if header.startswith("[[") else "") + header]
        for field, about in declared(of):
            value = about.example or about.kind.write(field.default)
            lines += [
                "",
                *_comment(f"{about.doc} Why so: {about.reason}"),
                f"#{toml_name(field.name)} = {value}",
            ]
    return "\n".join(lines) + "\n"


def _sections(of: type[Any], path: str) -> Iterator[tuple[type[Any], str]]:
    """Every section with its TOML header, outermost first."""
    yield of, f"[{path}]" if path else ""
    for field, inner, many in nested(of):
        name = f"{path}.{toml_name(field.name)}" if path else toml_name(field.name)
        if many:
            yield inner, f"[[{name}]]"
        else:
            yield from _sections(inner, name)


def _doc(of: type[Any]) -> str:
    return " ".join((of.__doc__ or "").split())


def _table(of: type[Any]) -> str:
    rows = ["| setting | default | what it does | why so |", "|---|---|---|---|"]
    for field, about in declared(of):
        default = "required" if about.required else f"`{about.kind.write(field.default)}`"
        what = f"{about.doc} Must be {about.kind.words}."
        cells = [f"`{toml_name(field.name)}`", default, what, about.reason]
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
