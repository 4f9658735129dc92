"""``gambeson guard shields``: which known attacks are stopped by name, whether that was measured, and whether anybody
tried one before it was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from gambeson.app.installation import Installation
    from gambeson.guard.core.web.replay import LogRecord, Replay, Replayed
    from gambeson.model.event import Event

    from . import Commands

_DESCRIPTION = """\
Lists the shields: the flaw, the products and the builds that mend it, and whether the last walk found the shield
effective. With --replay they are run over stored requests instead: a log of JSON lines (one request a line: time,
method, host, path, query, cookies, agent, source, admitted, product), or, without a file, what the doors recorded: with
doors.request_log = "all" every request, else those that no client makes.
Exit 1 where a request of a known attack reached the mail server, 4 where none is known to have but some may have.
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
    from dataclasses import replace

    from gambeson.guard.core.walk_shields import NONE, NOT_TRIED, Measured
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
        if shield.answers and one.answer == NONE:
            one = replace(one, answer=NOT_TRIED)
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
                "answer": one.answer,
                "why": one.why,
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
    from gambeson.guard.core.web.replay import Replay
    from gambeson.guard.core.web.shields import load_shields

    from .common import Exit, emit
    from .shared import installation

    run, unreadable, all_kept = Replay(load_shields()), 0, True
    if args.replay:
        unreadable = _read_file(args.replay, run)
    else:
        with installation(args) as place:
            run.feed(_from_store(args, place))
            all_kept = place.config.doors.request_log == "all"
    found = run.lines()
    document = {
        "source": args.replay or "store",
        "requests": run.requests,
        "unreadable": unreadable,
        "hits": [_hit(one) for one in found],
    }
    lines = [_line(one) for one in found]
    lines.append(
        f"{run.requests} requests: "
        + (f"{len(found)} shields knew some." if found else "no shield knew any.")
    )
    if unreadable:
        lines.append(f"{unreadable} lines could not be read.")
    if not all_kept:
        lines.append(
            'Of served requests nothing is kept; doors.request_log = "all" keeps the shape of each from then on.'
        )
    emit(args, document, "\n".join(lines))
    if any(one.reached for one in found):
        return Exit.WRONG
    incomplete = unreadable or not run.requests or any(one.unknown for one in found)
    return Exit.INCOMPLETE if incomplete else Exit.GOOD


def _line(one: Replayed) -> str:
    from .shared import printable, shown_time

    came = one.came_through if one.reached or one.unknown else f"no, 0 of {one.count}"
    whose = f" by {printable(one.account)}" if one.account else ""
    return (
        f"{', '.join(one.cve)} ({one.shield}): first matching request {shown_time(one.first)}, {one.when}, from "
        f"{printable(one.source) or 'an unknown address'}{whose}, reached the mail server: {came}."
    )


def _hit(one: Replayed) -> dict[str, object]:
    from .shared import shown_time

    return {
        "shield": one.shield,
        "cve": list(one.cve),
        "first": shown_time(one.first),
        "source": one.source,
        "account": one.account,
        "first_reached": one.first_reached,
        "requests": one.count,
        "reached": one.reached,
        "unknown": one.unknown,
        "days_before_disclosure": one.days,
        "disclosed": one.disclosed.isoformat(),
        "days_before_use": one.days_before_use,
        "since": one.since.isoformat(),
        "sentence": one.sentence,
    }


def _read_file(name: str, run: Replay) -> int:
    """Feed the log's requests to ``run``; how many lines are none. Raises CommandError where it cannot be read."""
    from gambeson.guard.core.web.request_log import MAX_LINE, MAX_LINES, RequestLogError, read_line

    from .common import CommandError, Exit

    bad = 0

    def records(file: BinaryIO) -> Iterator[LogRecord]:
        nonlocal bad
        for _ in range(MAX_LINES):
            line = file.readline(MAX_LINE + 1)
            if not line:
                return
            if line.strip():
                try:
                    yield read_line(line)
                except RequestLogError:
                    bad += 1
        raise CommandError(f"{name} has more than {MAX_LINES} lines; split it.")

    try:
        with open(name, "rb") as file:
            run.feed(records(file))
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.", Exit.UNREACHABLE) from None
    return bad


def _from_store(args: Namespace, place: Installation) -> Iterator[LogRecord]:
    """The request log, and what the doors recorded of requests that they refused and did not log. Of the latter a door
    does not know whose they were."""
    from msgspec import DecodeError
    from msgspec.json import Decoder

    from gambeson.guard.core.web.request_log import of_event, of_line

    from .shared import duration, moment, now

    since = (
        now() - duration(args.since)
        if args.since[:1].isdigit() and "-" not in args.since
        else moment(args.since)
    )
    read = Decoder(dict[str, object]).decode
    for line in place.store.requests.lines(since, place.organisation(args.org).id if args.org else ""):
        try:
            data = read(line.data)
        except DecodeError:
            continue
        yield of_line(line.at, line.account, line.source, data)
    refused = _events(args, place, "door.web.refused", since)
    twins = {_key(event, delay) for event in refused for delay in (0, 1)}
    shielded = [event for event in _events(args, place, "door.request", since) if _key(event) not in twins]
    for event in (*refused, *shielded):
        record = None if event.data.get("logged") else of_event(event)
        if record is not None:
            yield record


def _events(args: Namespace, place: Installation, kind: str, since: float) -> list[Event]:
    events = [
        *place.store.events.recent(kind, since, STORED),
        *place.organisation(args.org).events.query(kind=kind, since=since, limit=STORED),
    ]
    return list({event.id: event for event in events}.values())


def _key(event: Event, delay: int = 0) -> tuple[object, ...]:
    """What a shield's own event and the refusal that goes with it have in common."""
    told = event.data
    return event.source, told.get("host"), told.get("method"), int(event.at) - delay
