"""People from a table: bring it, look at what it would change, apply it.

The form with the file has a path of its own, because it alone may be long.
"""

from __future__ import annotations

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import get, post
from gambeson.console.core.csv_import import COLUMNS, MAX_BYTES, MAX_ROWS
from gambeson.console.office import RefusedError
from gambeson.console.operations import imports
from gambeson.console.web.visit import MAX_BODY, Reply, Visit, go
from gambeson.console.works import Work
from gambeson.model.staff import Verb

SHOWN = 50  # rows of each kind


def form(desk: Desk, visit: Visit) -> Reply:
    """The form, or what the table that was brought would change."""
    name = visit.given("table", 64)
    if not name:
        return _page(desk)
    data = imports.kept(desk.office, desk.organisation.id, name)
    found = imports.preview(desk.office, desk.organisation.id, data)
    return _page(desk, preview=found, name=name)


def bring(desk: Desk, visit: Visit) -> Reply:
    """A table comes, as a file or pasted."""
    pasted = visit.form.get("text", "")
    data = visit.files.get("file", b"") or pasted.encode("utf-8", "replace")
    if len(pasted) >= MAX_BODY:
        said = "This is too much to paste: save it as a file and choose that."
        raise RefusedError("too-long", said, 413)
    if not data.strip():
        return _page(desk, 422, "people.import-nothing")
    name = imports.keep(desk.office, desk.organisation.id, data)
    return go(f"{desk.base}/people/import?table={name}")


def apply(desk: Desk, visit: Visit) -> Reply:
    """What was shown is done."""
    name, mark = visit.given("table", 64), visit.given("mark", 64)
    data = imports.kept(desk.office, desk.organisation.id, name)
    sentences = imports.Sentences(
        lambda new, changed: desk.t("people.import-done", new=new, changed=changed),
        lambda written, total: desk.t("people.import-cancelled", written=written, total=total),
    )
    try:
        done = imports.apply(desk.office, desk.organisation.id, data, mark, sentences)
    except RefusedError as error:
        if error.reason != "changed":
            raise
        found = imports.preview(desk.office, desk.organisation.id, data)
        return _page(desk, 409, "people.import-changed", preview=found, name=name)
    imports.drop(desk.office, name)
    if isinstance(done, Work):
        return go(f"{desk.base}/progress/{done.id}")
    return _page(desk, done=done)


def _page(
    desk: Desk,
    status: int = 200,
    error: str = "",
    *,
    preview: imports.Preview | None = None,
    name: str = "",
    done: imports.Applied | None = None,
) -> Reply:
    return desk.page(
        "people_import",
        status,
        error=error,
        preview=preview,
        name=name,
        done=done,
        columns=COLUMNS,
        shown=SHOWN,
        megabytes=MAX_BYTES // 1024 // 1024,
        rows_most=MAX_ROWS,
    )


ROUTES = (
    get("/o/{org:str}/people/import", form, Verb.PEOPLE),
    post("/people-import/{org:str}", bring, Verb.PEOPLE, long=True),
    post("/o/{org:str}/people/import", apply, Verb.PEOPLE),
)
