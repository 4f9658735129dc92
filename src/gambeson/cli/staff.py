"""``gambeson staff``: who looks after mail at the console; the way back when every passkey is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gambeson.app.installation import Installation
    from gambeson.model.staff import Grant, Staff

    from . import Commands

_LINK = """\
Prints a link that binds a passkey for somebody: after a loss, or when the first link is over. It works once, for seven
days, and takes the place of one from before. It needs nothing that runs, so it is the way back when every passkey is
lost: whoever owns the machine owns the console.
"""
_CODES = """\
Says how many break-glass codes are good. With --new it makes eight new ones and prints them: all from before are void.
Each opens one session of an hour at the console, on the day when nobody can sign in. Write them down, lock them away.
"""
_ROLES = ("owner", "technician", "auditor", "responder")


def add(commands: Commands) -> None:
    """Declares ``staff`` and what is below it."""
    group = commands.group("staff", "who looks after mail at the console")
    group.add("list", "list the members of staff with their roles", run_list)
    new = group.add("add", "make a member of staff, and print the link for their first passkey", run_add)
    new.add_argument("name", metavar="NAME")
    new.add_argument("--address", metavar="ADDRESS", default="", help="where notices go")
    _role(new)
    link = group.add("link", "print a link that binds a passkey", run_link, _LINK)
    link.add_argument("name", metavar="NAME")
    link.add_argument(
        "--forget-passkeys", action="store_true", help="those that are there open nothing any more"
    )
    for name, summary, run in (
        ("grant", "give a role, or the same one a new end", run_grant),
        ("withdraw", "take a role away", run_withdraw),
    ):
        parser = group.add(name, summary, run)
        parser.add_argument("name", metavar="NAME")
        _role(parser, until=name == "grant")
    for name, summary, run in (
        (
            "disable",
            "shut somebody out of the console, and end their sessions, links and tokens",
            run_disable,
        ),
        ("enable", "let somebody in again", run_enable),
        ("remove", "delete a member of staff with roles and passkeys", run_remove),
    ):
        group.add(name, summary, run).add_argument("name", metavar="NAME")
    codes = group.add("codes", "the break-glass codes", run_codes, _CODES)
    codes.add_argument("--new", action="store_true", help="make new ones, and print them")


def _role(parser: ArgumentParser, *, until: bool = True) -> None:
    parser.add_argument("--role", choices=_ROLES, required=True)
    where = parser.add_argument_group("where")
    where.add_argument("--everywhere", action="store_true", help="in every organisation, those to come too")
    if until:
        parser.add_argument(
            "--until",
            metavar="WHEN",
            help="a date, or a duration such as 7d; a responder needs one (at most 30d)",
        )


def document(person: Staff, passkeys: int) -> dict[str, object]:
    """A member of staff as JSON."""
    from .shared import shown_time

    return {
        "id": person.id,
        "name": person.name,
        "address": person.address,
        "enabled": person.enabled,
        "created_at": shown_time(person.created_at),
        "passkeys": passkeys,
        "grants": [
            {"organisation": each.organisation, "role": each.role.value, "until": shown_time(each.until)}
            for each in person.grants
        ],
    }


def run_list(args: Namespace) -> int:
    """Lists them."""
    from .common import emit
    from .shared import installation, shown_time, table

    with installation(args) as place:
        found = [(each, len(place.store.staff.passkeys(each.id))) for each in place.store.staff.list()]
        names = {each.id: each.name for each in place.store.organisations()}
    rows = []
    for person, passkeys in found:
        roles = [
            f"{g.role.value} ({names.get(g.organisation, 'everywhere')}"
            f"{f', until {shown_time(g.until)}' if g.until else ''})"
            for g in person.grants
        ]
        state = "" if person.enabled else "disabled"
        rows.append([person.name, state, ", ".join(roles), person.address, str(passkeys)])
    emit(
        args,
        {"staff": [document(*each) for each in found]},
        table(rows, ["name", "", "roles", "address", "passkeys"]),
    )
    return 0


def run_add(args: Namespace) -> int:
    """Makes one."""
    from .shared import installation, now

    with installation(args) as place:
        grant = _grant(args, place)
        made = place.store.staff.create(
            args.name, address=args.address, grants=(grant,), by=place.who, at=now()
        )
        return _print_link(args, place, made)


def run_link(args: Namespace) -> int:
    """Prints a link."""
    from .shared import installation, now

    with installation(args) as place:
        person, staff = _named(args, place), place.store.staff
        if args.forget_passkeys:
            for each in staff.passkeys(person.id):
                staff.remove_passkey(person.id, each.id, keep_one=False, by=place.who, at=now())
        return _print_link(args, place, person)


def run_grant(args: Namespace) -> int:
    """Gives a role."""
    from .shared import installation, now

    with installation(args) as place:
        person, grant = _named(args, place), _grant(args, place)
        if grant.organisation not in {each.organisation for each in person.grants}:
            # Who made a link for them before did not see the whole of what it opens.
            place.store.staff.void_link(person.id, by=place.who, at=now())
        changed = place.store.staff.grant(person.id, grant, by=place.who, at=now())
        return _changed(args, place, changed, f"{person.name} has the role {args.role} now.")


def run_withdraw(args: Namespace) -> int:
    """Takes a role away."""
    from gambeson.model.staff import Role

    from .shared import installation, now

    with installation(args) as place:
        person = _named(args, place)
        changed = place.store.staff.withdraw(
            person.id, _where(args, place), Role(args.role), by=place.who, at=now()
        )
        return _changed(args, place, changed, f"{person.name} has the role {args.role} no more.")


def run_disable(args: Namespace) -> int:
    """Shuts somebody out."""
    return _enabled(args, False)


def run_enable(args: Namespace) -> int:
    """Lets somebody in again."""
    return _enabled(args, True)


def _enabled(args: Namespace, enabled: bool) -> int:
    from .shared import installation, now

    with installation(args) as place:
        person = _named(args, place)
        changed = place.store.staff.update(person.id, enabled=enabled, by=place.who, at=now())
        text = "may sign in again" if enabled else "is shut out, and signed out everywhere"
        return _changed(args, place, changed, f"{person.name} {text}.")


def run_remove(args: Namespace) -> int:
    """Deletes one."""
    from .common import emit
    from .shared import installation, now

    with installation(args) as place:
        person = _named(args, place)
        gone = document(person, len(place.store.staff.passkeys(person.id)))
        place.store.staff.remove(person.id, by=place.who, at=now())
        place.tell()
    emit(args, {"removed": gone}, f"{person.name} is gone, with roles and passkeys.")
    return 0


def run_codes(args: Namespace) -> int:
    """Counts the break-glass codes, or makes new ones."""
    import secrets

    from gambeson.console.core.glass import CODES, OCTETS, code, plain, verifier

    from .common import emit
    from .shared import installation, now, shown_time

    made: list[str] = []
    with installation(args) as place:
        if args.new:
            made = [code(secrets.token_bytes(OCTETS)) for _ in range(CODES)]
            place.store.staff.set_codes([verifier(plain(each)) for each in made], by=place.who, at=now())
            place.tell()
        unused, made_at = place.store.staff.codes()
    text = (
        f"{unused} codes are good; they were made at {shown_time(made_at)}." if unused else "No code is good."
    )
    hint = [] if unused else ["Make new ones: gambeson staff codes --new"]
    shown = [*made, "They are shown only now: write them down and lock them away."] if made else hint
    emit(
        args,
        {"unused": unused, "made_at": shown_time(made_at), "codes": made},
        "\n".join([text, *shown]),
    )
    return 0


def _named(args: Namespace, place: Installation) -> Staff:
    """By name (in any case) or id. Raises CommandError."""
    from .common import CommandError

    wanted = args.name.strip().casefold()
    for each in place.store.staff.list():
        if each.name.casefold() == wanted or each.id == args.name:
            return each
    raise CommandError(f"There is no member of staff {args.name[:80]!a}: see gambeson staff list.")


def _where(args: Namespace, place: Installation) -> str:
    from gambeson.model.staff import EVERY

    from .common import CommandError

    if args.everywhere and args.org:
        raise CommandError("Give either --everywhere or --org, not both.")
    if args.everywhere:
        return EVERY
    if not args.org:
        raise CommandError("Say where the role is: --org NAME, or --everywhere.")
    return place.organisation(args.org).id


def _grant(args: Namespace, place: Installation) -> Grant:
    from gambeson.console.operations.staff import RESPONDER_LONGEST
    from gambeson.model.staff import Grant, Role

    from .common import CommandError
    from .shared import moment, now

    role, until = Role(args.role), moment(args.until) if args.until else 0.0
    if role is Role.RESPONDER and not now() < until <= now() + RESPONDER_LONGEST:
        raise CommandError("A responder's role needs an end, at most 30 days from now: --until 7d.")
    return Grant(_where(args, place), role, until)


def _print_link(args: Namespace, place: Installation, person: Staff) -> int:
    from gambeson.app.first_owner import LINK_SECONDS, new_token, verifier
    from gambeson.store.staff_links import LinkKind

    from .common import emit
    from .shared import now, shown_time

    passkeys = len(place.store.staff.passkeys(person.id))
    token, at = new_token(), now()
    kind = LinkKind.RECOVER if passkeys else LinkKind.INVITE
    link = place.store.staff.make_link(
        kind, person.id, verifier(token), expires_at=at + LINK_SECONDS, by=place.who, at=at
    )
    place.tell()
    origin = _origin(place)
    url = f"{origin}/welcome/{token}"
    ends = shown_time(link.expires_at)
    lines = [url, f"It binds a passkey for {person.name}, works once, and is over at {ends}."]
    if not origin:
        lines.append("Open it at the console's address: nothing runs here, and the settings name none.")
    emit(
        args,
        {"staff": document(person, passkeys), "kind": kind.value, "link": url, "expires_at": ends},
        "\n".join(lines),
    )
    return 0


def _origin(place: Installation) -> str:
    """The console's: the running one's, else the settings'; empty where nobody knows it."""
    from gambeson.app.console_plan import console_origin
    from gambeson.app.plan import Planner, configured_listens
    from gambeson.process.run_directory import read_ready

    try:
        running = read_ready(place.place.data).get("console")
    except (OSError, ValueError):
        running = None
    return str(
        running or console_origin(Planner(place.place, place.config, configured_listens(place.config)))
    )


def _changed(args: Namespace, place: Installation, person: Staff, text: str) -> int:
    from .common import emit

    place.tell()
    emit(args, document(person, len(place.store.staff.passkeys(person.id))), text)
    return 0
