"""``gambeson guard shields``: which known attacks are stopped by name, whether that was measured, and whether anybody
tried one before it was known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from gambeson.app.installation import Installation
    from gambeson.guard.core.web.shields import LogRecord, Replayed
    from gambeson.model.event import Event

    from . import Commands

_DESCRIPTION = """\
Lists the shields: the flaw, the products and the builds that mend it, and whether the last walk found the shield
effective. With --replay they are run over stored requests instead: a log of JSON lines (one request a line: time,
method, host, path, query, cookies, agent, source, admitted, product), or, without a file, what the doors recorded.
Exit 1 where a request of a known attack reached the mail server.
"""
STORED = 10_000  # events that are looked at


def add(group: Commands) -> None:
    """Declares ``guard shields``."""
    parser = group.add("shields", "known attacks that are stopped by name; was one tried?", run, _DESCRIPTION)
    parser.add_argument(
        "--replay",
        metavar="FILE",
        nargs="?",
        const="",
        default=None,
        help="run them over a request log; without FILE over what the doors recorded",
    )
    parser.add_argument(
        "--since", default="365d", metavar="TIME", help="with --replay without FILE (default 365d)"
    )


def run(args: Namespace) -> int:
    """Lists, or replays."""
    return _list(args) if args.replay is None else _replay(args)


def _list(args: Namespace) -> int:
    from gambeson.guard.core.walk_shields import Measured
    from gambeson.guard.core.web.shields import load_shields
    from gambeson.guard.edge.walk.keeping import kept_shields

    from .common import Exit, emit
    from .shared import installation, shown_time, table

    with installation(args) as place:
        known = {one.shield: one for one in kept_shields(place.place.data)}
        products = {site.product for site in place.sites()}
    shields = []
    rows = []
    for shield in load_shields().shields:
        one = known.get(shield.id, Measured(shield.id))
        shields.append(
            {
                "id": shield.id,
                "title": shield.title,
                "cve": list(shield.cve),
                "product": shield.product.value,
                "fixed": [{"product": product, "build": build} for product, build in shield.fixed],
                "since": shield.since.isoformat(),
                "disclosed": shield.disclosed.isoformat(),
                "references": list(shield.references),
                "used": shield.product in products,
                "effective": one.effective,
                "door": one.door,
                "around": one.around,
                "measured": shown_time(one.at) if one.at else None,
            }
        )
        when = str(shown_time(one.at)) if one.at else ""
        builds = f"{len(shield.fixed)} builds"
        rows.append([shield.id, ", ".join(shield.cve), shield.product.value, builds, one.word, when])
    text = table(rows, ["shield", "flaw", "product", "fixed in", "effective", "measured"])
    text += (
        f"\n{len(shields)} shields. gambeson guard walk measures them; --json has the builds and references."
    )
    emit(args, {"shields": shields}, text)
    return Exit.WRONG if any(s["effective"] is False for s in shields) else Exit.GOOD


def _replay(args: Namespace) -> int:
    from gambeson.guard.core.web.shields import load_shields, replay

    from .common import Exit, emit
    from .shared import installation

    records: list[LogRecord] = []
    unreadable = 0
    if args.replay:
        records, unreadable = _from_file(args.replay)
    else:
        with installation(args) as place:
            records = _from_store(args, place)
    found = replay(load_shields(), records)
    document = {
        "source": args.replay or "store",
        "requests": len(records),
        "unreadable": unreadable,
        "hits": [_hit(one) for one in found],
    }
    lines = [_line(one) for one in found]
    lines.append(
        f"{len(records)} requests: "
        + (f"{len(found)} shields knew some." if found else "no shield knew any.")
    )
    if unreadable:
        lines.append(f"{unreadable} lines could not be read.")
    if not args.replay:
        lines.append(
            "The store keeps the requests that the doors refused; what was served is not kept one by one."
        )
    emit(args, document, "\n".join(lines))
    if any(one.reached for one in found):
        return Exit.WRONG
    return Exit.INCOMPLETE if unreadable or not records else Exit.GOOD


def _line(one: Replayed) -> str:
    from .shared import shown_time

    unit = "day" if abs(one.days) == 1 else "days"
    when = f"{abs(one.days)} {unit} {'before' if one.days > 0 else 'after'} disclosure"
    if one.days == 0:
        when = "on the day of disclosure"
    reached = f"yes, {one.reached} of {one.count}" if one.reached else f"no, 0 of {one.count}"
    return (
        f"{', '.join(one.cve)} ({one.shield}): first matching request {shown_time(one.first)}, {when}, from "
        f"{one.source or 'an unknown address'}, reached the mail server: {reached}."
    )


def _hit(one: Replayed) -> dict[str, object]:
    from .shared import shown_time

    return {
        "shield": one.shield,
        "cve": list(one.cve),
        "first": shown_time(one.first),
        "source": one.source,
        "requests": one.count,
        "reached": one.reached,
        "days_before_disclosure": one.days,
        "disclosed": one.disclosed.isoformat(),
        "sentence": one.sentence,
    }


def _from_file(name: str) -> tuple[list[LogRecord], int]:
    """The log's requests, and how many lines are none. Raises CommandError where it cannot be read."""
    from gambeson.guard.core.web.request_log import MAX_LINE, MAX_LINES, RequestLogError, read_line

    from .common import CommandError, Exit

    found, bad = [], 0
    try:
        with open(name, "rb") as file:
            for _ in range(MAX_LINES):
                line = file.readline(MAX_LINE + 1)
                if not line:
                    break
                if line.strip():
                    try:
                        found.append(read_line(line))
                    except RequestLogError:
                        bad += 1
            else:
                raise CommandError(f"{name} has more than {MAX_LINES} lines; split it.")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.", Exit.UNREACHABLE) from None
    return found, bad


def _from_store(args: Namespace, place: Installation) -> list[LogRecord]:
    """What the doors recorded of requests that they refused. A door does not know whose such a request was."""
    from gambeson.guard.core.web.request_log import of_event

    from .shared import duration, moment, now

    since = (
        now() - duration(args.since)
        if args.since[:1].isdigit() and "-" not in args.since
        else moment(args.since)
    )
    events: list[Event] = []
    for kind in ("door.web.refused", "door.request"):
        events += place.store.events.recent(kind, since, STORED)
        events += place.organisation(args.org).events.query(kind=kind, since=since, limit=STORED)
    found = (of_event(event) for event in {event.id: event for event in events}.values())
    return [record for record in found if record is not None]
