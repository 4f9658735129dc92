"""Templates, catalogues and static files, read once, before the process gives up its rights.

htmx and Bootstrap's style sheet come out of the wheels that ship them (django-js-lib-htmx, django-bootstrap-static);
nothing of these wheels is imported, and no Django is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import jinja2

from gambeson.console.core.visible import link, visible
from gambeson.console.web.texts import Catalogue, read_catalogue

LANGUAGES = ("en", "de")
_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_WHEELS = (  # package, file in it, name here
    ("bootstrap", "static/bootstrap/css/bootstrap.min.css", "bootstrap.css"),
    ("js_lib_htmx", "static/htmx/htmx.min.js", "htmx.js"),
)


@cache
def load_catalogues() -> dict[str, Catalogue]:
    """Every language's catalogue. Raises OSError, tomllib.TOMLDecodeError, ValueError."""
    folder = files(__package__).joinpath("texts")
    return {tag: read_catalogue(_tomls(folder.joinpath(tag)), tag) for tag in LANGUAGES}


def _tomls(folder: Traversable) -> Iterator[Traversable]:
    return (f for f in sorted(folder.iterdir(), key=lambda f: f.name) if f.name.endswith(".toml"))


def sources() -> dict[str, str]:
    """Every template's text by its name."""
    folder = files(__package__).joinpath("templates")
    return {f.name: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".html")}


def static_files() -> dict[str, bytes]:
    """Every static file by its name. Raises OSError where a wheel is not installed as it should be."""
    own = [f for package in ("gambeson.console.web", __package__) for f in _static(package)]
    found = {f.name: f.read_bytes() for f in own}
    for package, path, name in _WHEELS:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise OSError(f"the package with {name} is not installed; start ./gambeson, which installs it")
        found[name] = _quiet(Path(next(iter(spec.submodule_search_locations)), path).read_bytes())
    return found


def _quiet(data: bytes) -> bytes:
    """Without the last line that names a source map: browsers would ask for it in vain."""
    head, mark, _ = data.rpartition(b"sourceMappingURL=")
    return head.rpartition(b"\n")[0] + b"\n" if mark and len(data) - len(head) < 200 else data


def _static(package: str) -> Iterator[Traversable]:
    return files(package).joinpath("static").iterdir()


class Pages:
    """Renders templates. Everything is escaped; an undefined name is an error."""

    def __init__(self, name: str = "Gambeson") -> None:
        self.environment = jinja2.Environment(
            loader=jinja2.DictLoader(sources()),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self.static = static_files()
        self.environment.filters.update(
            moment=moment, day=day, ago=ago, clock=clock, visible=visible, link=link
        )
        self.environment.globals.update(
            product=name, asset={n: f"/static/{n}?v={_version(data)}" for n, data in self.static.items()}
        )
        self._templates = {n: self.environment.get_template(n) for n in self.environment.list_templates()}

    def render(self, name: str, values: Mapping[str, object]) -> bytes:
        """The page as UTF-8."""
        return self._templates[f"{name}.html"].render(values).encode()

    def file(self, name: str) -> tuple[bytes, str] | None:
        """A static file and its media type."""
        data = self.static.get(name)
        return None if data is None else (data, _KINDS[name.rpartition(".")[2]])


@cache
def load_pages(name: str) -> Pages:
    """The pages of a product of this name: read and compiled once."""
    return Pages(name)


def moment(at: float, zone: ZoneInfo) -> str:
    """A time for people, to the minute; a dash for never."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M") if at > 0 else "\N{EN DASH}"


def day(at: float, zone: ZoneInfo) -> str:
    """A date for people; a dash for never."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d") if at > 0 else "\N{EN DASH}"


def clock(at: float, zone: ZoneInfo) -> str:
    """A time of the day, to the second."""
    return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S") if at > 0 else "\N{EN DASH}"


def ago(at: float, now: float, texts: Catalogue) -> str:
    """How long ago, in words, such as "3 hours ago"."""
    if at <= 0:
        return texts("ago.never")
    seconds = max(0.0, now - at)
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        count = int(seconds // size)
        if count:
            return texts(f"ago.{unit}" if count > 1 else f"ago.{unit}-one", count=count)
    return texts("ago.now")


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
