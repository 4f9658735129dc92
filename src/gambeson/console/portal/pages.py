"""Templates and static files, read once, before the process gives up its rights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files

import jinja2

from gambeson.console.web.agents import browser
from gambeson.console.web.texts import Catalogue

_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def sources() -> dict[str, str]:
    """Every template's text by its name."""
    folder = files(__package__).joinpath("templates")
    return {f.name: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".html")}


class Pages:
    """Renders templates. Everything is escaped; an undefined name is an error."""

    def __init__(self, texts: Catalogue, name: str) -> None:
        self.environment = jinja2.Environment(
            loader=jinja2.DictLoader(sources()),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        folders = (files(package).joinpath("static") for package in (__package__, "gambeson.console.web"))
        self.static = {f.name: f.read_bytes() for folder in folders for f in folder.iterdir()}
        self.environment.filters["moment"] = moment
        self.environment.filters["browser"] = partial(browser, texts=texts)
        self.environment.globals.update(
            t=texts,
            word=texts.word,
            language=texts.language,
            product=name,
            asset={name: f"/static/{name}?v={_version(data)}" for name, data in self.static.items()},
        )
        self._templates = {n: self.environment.get_template(n) for n in self.environment.list_templates()}

    def render(self, name: str, values: Mapping[str, object]) -> bytes:
        """The page as UTF-8."""
        return self._templates[f"{name}.html"].render(values).encode()

    def file(self, name: str) -> tuple[bytes, str] | None:
        """A static file and its media type."""
        data = self.static.get(name)
        return None if data is None else (data, _KINDS[name.rpartition(".")[2]])


def moment(at: object) -> str:
    """A time for people: UTC, to the minute; a dash for never."""
    if not isinstance(at, float | int) or at <= 0:
        return "\N{EN DASH}"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
