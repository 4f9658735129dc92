"""``gambeson guard walk``: tries every listener, mechanism and credential for real, at the doors and past them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from gambeson.app.installation import Installation
    from gambeson.guard.core.walk import Place, Record
    from gambeson.guard.core.walk_plan import Canary
    from gambeson.guard.core.walk_shields import Measured
    from gambeson.model.finding import Finding

    from . import Commands
    from .guard_walk_web import WebPlaces

_DESCRIPTION = """\
Tries to get in, at every door, at the mail servers behind them and at what you name, with everything that must not
open: no sign-in at all, the canary's password over every mechanism, made-up tokens, devices that are blocked,
revoked, expired or for another door. At the web doors also made-up sessions and headers, closed paths, disguises and
the harmless shape of each known attack; the canary signs in at the portal with a passkey made for the walk, to see what
shields do to answers. Whatever enters below the floor is a side door (exit 1). What could not be
reached or told is listed (exit 4). The canary is an account of yours kept for this; in the playground one is taken.
"""


def add(group: Commands) -> None:
    """Declares ``guard walk``."""
    parser = group.add("walk", "try every side door for real", run, _DESCRIPTION)
    parser.add_argument(
        "--from",
        dest="origin",
        choices=("inside", "outside"),
        default="inside",
        help="outside: only what another machine could reach",
    )
    parser.add_argument("--canary", metavar="ADDRESS", help="the account to knock with")
    parser.add_argument("--password-file", metavar="FILE", help="its password at the mail server")
    parser.add_argument(
        "--target",
        metavar="HOST:PORT=LISTENER",
        action="append",
        default=[],
        help="another address, such as mail.example.org:2525=submission or ...:8443=https; may be repeated",
    )
    parser.add_argument(
        "--scan",
        metavar="HOST",
        action="append",
        default=[],
        help="look at its well-known mail and web ports",
    )
    parser.add_argument("--ca", metavar="FILE", default="", help="authorities for --target and --scan (PEM)")
    parser.add_argument(
        "--rate", metavar="N", type=float, default=20.0, help="attempts a second (default 20)"
    )
    parser.add_argument(
        "--fail-on",
        choices=("medium", "high", "critical"),
        default="high",
        help="exit 1 from this severity on",
    )


def run(args: Namespace) -> int:
    """Walks."""
    from gambeson.model.finding import Severity

    from .common import Exit, emit
    from .finding import document as finding_document
    from .shared import installation

    with installation(args) as place, _signals_interrupt():
        records, findings, missing, shields = _walk(args, place)
    bad = [f for f in findings if f.severity >= Severity[args.fail_on.upper()]]
    outcomes: dict[str, int] = {}
    for record in records:
        outcomes[record.reply.outcome.value] = outcomes.get(record.reply.outcome.value, 0) + 1
    document = {
        "good": not bad and not missing,
        "from": args.origin,
        "attempts": len(records),
        "outcomes": outcomes,
        "findings": [finding_document(each) for each in findings],
        "untried": missing,
        "note": _password_note(records) if args.canary else "",
        "shields": [one.plain() for one in shields],
        "records": [record.plain() for record in records],
    }
    lines = [f"{f.severity.word.upper()}: {f.title} - {f.reason}\n  -> {f.remedy[0]}" for f in findings]
    lines += [f"cannot say: {each}" for each in missing]
    lines += [f"shield {one.shield}: {one.word}" for one in shields if one.answer not in ("none", "observed")]
    if note := document["note"]:
        lines.append(f"note: {note}")
    told = ", ".join(f"{many} {what}" for what, many in sorted(outcomes.items()))
    verdict = f"{len(findings)} side doors" if findings else "no side door found"
    lines.append(
        f"{len(records)} attempts ({told}): {verdict}" + (", but not all could be told." if missing else ".")
    )
    emit(args, document, "\n".join(lines))
    if bad:
        return Exit.WRONG
    return Exit.INCOMPLETE if missing else Exit.GOOD


def _walk(
    args: Namespace, place: Installation
) -> tuple[Sequence[Record], list[Finding], list[str], Sequence[Measured]]:
    import asyncio
    import secrets

    from gambeson.guard.core.explain import explain
    from gambeson.guard.core.walk import side_doors, untried
    from gambeson.guard.edge.walk.canary import CanaryDevices
    from gambeson.guard.edge.walk.keeping import keep
    from gambeson.guard.edge.walk.tour import walk
    from gambeson.model.access import Rung

    from .common import CommandError
    from .guard_walk_web import WebPlaces
    from .shared import now

    if not 0 < args.rate <= 1000:
        raise CommandError("--rate must be more than 0 and at most 1000 attempts a second.")
    web = WebPlaces(args, place)
    places, missing = _places(args, place, web)
    address, password = _canary(args, place)
    organisation = place.organisation_of(address, args.org)
    devices = CanaryDevices(
        organisation,
        organisation.accounts.find(address),
        place.keeper.secret_verifier,
        f"{place.who} (guard walk)",
    )
    devices.sweep(now())
    index = place.snapshot()

    def floor(where: Place) -> Rung:
        return Rung.from_word(str(explain(index, now(), where.door, address)["demanded"]))

    def declared(record: Record) -> str:
        return _declared(index, record, address)

    try:
        canary = _ready_canary(place, devices, password, f"gambeson-walk-nobody@{address.rpartition('@')[2]}")
        nonce = secrets.token_hex(9)
        plans = web.plans(canary, index, devices.account, nonce, devices.passkey)
        records = asyncio.run(
            walk(places, canary, floor, nonce=nonce, per_second=args.rate, web=plans, told=_progress)
        )
    finally:
        with _uninterrupted():
            devices.take_away()
            place.tell()
    if not password:
        missing.append("The canary's password is not known (--password-file), so no password was tried.")
    findings = [*side_doors(records, organisation.id, now(), declared), *_policy(index, organisation.id)]
    kept = keep(organisation, findings, records, place.who, now())
    shields = web.keep(records)
    missing += web.missing
    return records, kept, [*missing, *_untried(args, records, untried)], shields


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the walk as Ctrl-C does: the canary's devices are taken away first. One that is ignored
    (nohup) stays ignored. Raises CommandError with the exit code that shells give such an end."""
    import signal

    from .common import CommandError

    came: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        came.append(number)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a script's background
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)  # asyncio knows how to end with it, and Python outside of asyncio

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if not came:
            raise
        name = signal.Signals(came[0]).name
        raise CommandError(f"Ended by {name}; the canary's devices are gone.", 128 + came[0]) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """What must be done to the end: signals that would end us come after it."""
    import signal

    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ready_canary(place: Installation, devices: Any, password: str, foreign: str) -> Canary:
    """The canary with its devices, known to every door."""
    from .common import CommandError, Exit

    canary: Canary = devices.make(password, foreign)
    told = place.tell()
    if told.missing:
        raise CommandError(
            f"The canary's devices did not get to {', '.join(told.missing)}; try again, or see gambeson doctor.",
            Exit.INCOMPLETE,
        )
    return canary


def _password_note(records: Sequence[Record]) -> str:
    """A wrong password is refused like a right one at a tight server: nothing here can tell the two apart."""
    from gambeson.guard.core.walk import Outcome, Role

    at_servers = [r for r in records if r.attempt.place.role is not Role.DOOR]
    knocked = [r for r in at_servers if r.attempt.rung.word == "knowledge"]
    if not knocked or any(r.reply.outcome is Outcome.ENTERED for r in knocked):
        return ""
    return (
        "no mail server took the canary's password. That is right where they take the doors' tokens only; "
        "if theirs is another password than the one given, they were not tried at all."
    )


def _untried(args: Namespace, records: Sequence[Record], untried: Any) -> list[str]:
    """What counts as not told: from outside a mail server that can't be reached is as it should be."""
    from gambeson.guard.core.walk import Outcome, Role

    counted = [
        r
        for r in records
        if not (
            r.reply.outcome is Outcome.UNREACHABLE
            and r.attempt.place.role is Role.UPSTREAM
            and args.origin == "outside"
        )
    ]
    return list(untried(counted))


def _places(args: Namespace, place: Installation, web: WebPlaces) -> tuple[list[Place], list[str]]:
    from gambeson.app.plan import configured_listens
    from gambeson.guard.edge.walk import places

    from .common import CommandError

    try:
        doors = places.of_ready(place.place.data)
        if not doors:
            listens = [(each.name, each.host, each.port) for each in configured_listens(place.config)]
            doors = places.of_listens(listens)
        found = [*doors, *places.of_servers(place.servers())]
        found += [places.of_target(text, args.ca) for text in args.target if not web.takes(text)]
        hosts = [*args.scan]
        found += places.of_scan(hosts, found, args.ca)
    except places.PlaceError as error:
        raise CommandError(str(error)) from None
    if args.origin == "inside":
        return found, []
    far, near = places.from_outside(found)
    if not far and not web.outside:
        raise CommandError(
            "Nothing here can be reached from outside: every address is this machine's own. Name one with --target "
            "or --scan, or walk from inside."
        )
    left = ", ".join(each.name for each in near)
    return list(far), [f"Not tried from outside, as only this machine reaches it: {left}."] if left else []


def _canary(args: Namespace, place: Installation) -> tuple[str, str]:
    """Address and password: what was given, else somebody of the playground."""
    from pathlib import Path

    from gambeson.process.run_directory import read_ready

    from .common import CommandError, Exit

    password = ""
    if args.password_file:
        try:
            password = Path(args.password_file).read_text("utf-8").rstrip("\r\n")
        except (OSError, ValueError):
            raise CommandError(f"{args.password_file} cannot be read.", Exit.UNREACHABLE) from None
    if len(password) > 1000 or not password.isprintable():
        raise CommandError(
            f"{args.password_file} must hold one line, the password, of at most 1000 characters."
        )
    if args.canary:
        return args.canary, password
    try:
        people = read_ready(place.place.data)["playground"]["accounts"]
        address = str(people[-1]["address"])
        if address.rpartition("@")[2] in place.organisation(args.org).get().domains:
            return address, password or str(people[-1]["password"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        pass  # nothing runs here, or it is no playground
    raise CommandError(
        "Name an account to knock with: --canary ADDRESS, and --password-file with its password at the mail server. "
        "Take one that nobody reads mail with."
    )


def _declared(index: Any, record: Record, address: str) -> str:
    """What in the policy opens this door to a password, and until when; empty where nothing does."""
    from gambeson.guard.core.explain import explain
    from gambeson.guard.core.walk import Role

    from .shared import now

    attempt = record.attempt
    if attempt.place.role is not Role.DOOR or not (attempt.rung.word == "knowledge" or attempt.asks):
        return ""
    found = explain(index, now(), attempt.door, address, source="127.0.0.1")
    if not found["passes"]:
        return ""
    return f"mode {found['mode']}" if found["decision"] != "allow" else str(found["rule"])


def _policy(index: Any, organisation: str) -> list[Finding]:
    """What the policy itself opens, as findings."""
    from gambeson.guard.core.prove import prove
    from gambeson.guard.edge.walk.policy import openings

    from .shared import now

    return list(openings(prove(index, organisation, now()), organisation, now()))


def _progress(done: int, of: int) -> None:
    import sys

    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {of} attempts" + ("\n" if done == of else ""))
        sys.stderr.flush()
