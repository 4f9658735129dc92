"""Long work while it goes on: how far it is, a way to cancel it, and what came of it.

A piece of work is shown to who may do its kind in its organisation. To anybody else it is not there.
"""

from __future__ import annotations

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import get, post
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.console.works import Work, Works, WorkState


def show(desk: Desk, visit: Visit) -> Reply:
    """The page. It asks for itself again while the work goes on."""
    return desk.page("work", work=_work(desk, visit))


def cancel(desk: Desk, visit: Visit) -> Reply:
    """The work shall end."""
    work = _work(desk, visit)
    _works(desk).cancel(work.organisation, work.id)
    return go(f"{desk.base}/progress/{work.id}")


def file(desk: Desk, visit: Visit) -> Reply:
    """The file that came of it. It may be full of codes, which took a passkey to make, so it takes one to have."""
    work = _work(desk, visit)
    desk.office.fresh()
    if work.state is not WorkState.DONE or not work.result.octets:
        raise ProblemError(404)
    name = "".join(c for c in work.result.name if c.isascii() and (c.isalnum() or c in "-_.")) or "file"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Reply(body=work.result.octets, kind=work.result.kind, headers=headers)


def _works(desk: Desk) -> Works:
    works = desk.office.world.works
    if not isinstance(works, Works):
        raise ProblemError(404)
    return works


def _work(desk: Desk, visit: Visit) -> Work:
    """Raises ProblemError(404): there is none, it is another organisation's, or not for this person."""
    found = _works(desk).get(desk.organisation.id, visit.path["work"])
    if found is None or not desk.office.may(found.verb, found.organisation):
        raise ProblemError(404)
    return found


ROUTES = (
    get("/o/{org:str}/progress/{work:str}", show),
    get("/o/{org:str}/progress/{work:str}/file", file),
    post("/o/{org:str}/progress/{work:str}/cancel", cancel, None),
)
