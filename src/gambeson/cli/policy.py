"""``gambeson policy``: the access policy of an organisation, in versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from . import Commands


def add(commands: Commands) -> None:
    """Declares ``policy`` and what is below it."""
    group = commands.group("policy", "the access policy")
    show = group.add("show", "print the policy in force, or a version", run_show)
    show.add_argument("number", metavar="VERSION", nargs="?", type=int)
    check = group.add("check", "look a policy file over: errors and warnings with line and column", run_check)
    check.add_argument("file", metavar="FILE", help="- is standard input")
    change = group.add("set", "make a policy file the policy in force", run_set)
    change.add_argument("file", metavar="FILE", help="- is standard input")
    change.add_argument("--note", metavar="TEXT", default="", help="why")
    group.add("list", "the versions", run_list)
    back = group.add("roll-back", "put an earlier version in force again", run_roll_back)
    back.add_argument("number", metavar="VERSION", type=int)
    group.add("reset", "put the policy that Gambeson brings in force again; the versions stay", run_reset)


def _read(name: str) -> str:
    import sys
    from pathlib import Path

    from .common import CommandError, Exit

    limit = 1 << 20
    try:
        data = sys.stdin.buffer.read(limit + 1) if name == "-" else Path(name).open("rb").read(limit + 1)  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.", Exit.UNREACHABLE) from None
    if len(data) > limit:
        raise CommandError(f"{name} is larger than {limit} octets, which no policy is; name the right file.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{name} line {line}: this is not UTF-8; save the file as UTF-8.") from None


def run_show(args: Namespace) -> int:
    """Prints a policy."""
    from gambeson.app.publishing import default_policy_text

    from .common import emit
    from .shared import installation, shown_time

    with installation(args) as place:
        policies = place.organisation(args.org).policies
        found = policies.get(args.number) if args.number is not None else policies.active()
    if found is None:
        document = {"version": 0, "default": True, "toml": default_policy_text()}
        emit(args, document, default_policy_text())
        return 0
    document = {
        "version": found.version,
        "default": False,
        "by": found.by,
        "at": shown_time(found.at),
        "note": found.note,
        "toml": found.source,
    }
    emit(args, document, found.source)
    return 0


def run_check(args: Namespace) -> int:
    """Lints a file."""
    from gambeson.guard.core.policy_toml import lint

    from .common import CommandError, Exit, config, emit
    from .shared import now

    try:
        countries = bool(config(args).doors.country_table)
    except CommandError:
        countries = False  # the file can be looked over without an installation
    problems = lint(_read(args.file), now=now(), country_table=countries)
    document = {
        "problems": [
            {
                "line": p.line,
                "column": p.column,
                "severity": "error" if p.error else "warning",
                "text": p.text,
            }
            for p in problems
        ]
    }
    lines = [
        f"{args.file} line {p.line}, column {p.column}: {'' if p.error else 'warning: '}{p.text}"
        for p in problems
    ]
    emit(args, document, "\n".join(lines) or f"{args.file} is a good policy.")
    return Exit.USAGE if any(p.error for p in problems) else Exit.GOOD


def run_set(args: Namespace) -> int:
    """Stores a policy and puts it in force; a bad one changes nothing."""
    from gambeson.guard.core.policy_toml import PolicyError, parse_policy

    from .common import CommandError, emit
    from .shared import installation, now, told

    text = _read(args.file)
    with installation(args) as place:
        organisation = place.organisation(args.org)
        try:
            parse_policy(text, organisation.id)
        except PolicyError as error:
            where = f"{args.file} line {error.line}, column {error.column}"
            raise CommandError(f"{where}: {error.text}. Nothing was changed.") from None
        stored = organisation.policies.add(text, note=args.note, by=place.who, at=now())
        known, line, code = told(place.tell())
    emit(args, {"version": stored.version, **known}, f"Version {stored.version} is in force. {line}".strip())
    return code


def run_list(args: Namespace) -> int:
    """Lists versions."""
    from .common import emit
    from .shared import installation, shown_time, table

    with installation(args) as place:
        policies = place.organisation(args.org).policies
        active, found = policies.active(), policies.list()
    in_force = active.version if active else 0
    listed = [
        {
            "version": p.version,
            "in_force": p.version == in_force,
            "at": shown_time(p.at),
            "by": p.by,
            "note": p.note,
        }
        for p in found
    ]
    rows = [
        [str(p["version"]), "in force" if p["in_force"] else "", str(p["at"]), str(p["by"]), str(p["note"])]
        for p in listed
    ]
    emit(args, {"versions": listed, "in_force": in_force}, table(rows, ["version", "", "at", "by", "note"]))
    return 0


def run_roll_back(args: Namespace) -> int:
    """Puts an earlier version in force."""
    from gambeson.guard.core.policy_toml import PolicyError, parse_policy

    from .common import CommandError, emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation(args.org)
        try:
            parse_policy(organisation.policies.get(args.number).source, organisation.id)
        except PolicyError as error:
            raise CommandError(
                f"Version {args.number} is no valid policy any more: line {error.line}: {error.text}. "
                "Nothing was changed."
            ) from None
        stored = organisation.policies.activate(args.number, by=place.who, at=now())
        known, line, code = told(place.tell())
    emit(args, {"version": stored.version, **known}, f"Version {stored.version} is in force. {line}".strip())
    return code


def run_reset(args: Namespace) -> int:
    """Puts the built-in default in force."""
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        place.organisation(args.org).policies.reset(by=place.who, at=now())
        known, line, code = told(place.tell())
    emit(args, {"version": 0, **known}, f"The policy that Gambeson brings is in force. {line}".strip())
    return code
