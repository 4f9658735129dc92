"""``gambeson org``: the organisations of this installation and their domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from gambeson.model.organisation import Organisation

    from . import Commands


def add(commands: Commands) -> None:
    """Declares ``org`` and what is below it."""
    group = commands.group("org", "the organisations and their mail domains")
    new = group.add("add", "make an organisation", run_add)
    new.add_argument("name", metavar="NAME")
    new.add_argument(
        "--domain", metavar="DOMAIN", action="append", default=[], help="a mail domain; may be repeated"
    )
    new.add_argument("--enrolment-url", metavar="URL", default="", help="where its people register a device")
    group.add("list", "list the organisations", run_list)
    change = group.add("set", "rename, or change the enrolment address", run_set)
    change.add_argument("name", metavar="NAME")
    change.add_argument("--rename", metavar="NAME")
    change.add_argument("--enrolment-url", metavar="URL")
    remove = group.add("remove", "delete an organisation with everything it owns", run_remove)
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("--yes", action="store_true", help="yes, everything: accounts, devices, policy")
    domain = group.group("domain", "the mail domains of an organisation")
    for name, summary in (("add", "add a domain"), ("remove", "take a domain away")):
        parser = domain.add(name, summary, run_domain_add if name == "add" else run_domain_remove)
        parser.add_argument("domain", metavar="DOMAIN")


def document(organisation: Organisation) -> dict[str, object]:
    """An organisation as JSON."""
    return {
        "id": organisation.id,
        "name": organisation.name,
        "domains": list(organisation.domains),
        "enrolment_url": organisation.enrolment_url,
    }


def run_add(args: Namespace) -> int:
    """Makes an organisation."""
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        before = place.bare_names()
        made = place.store.create_organisation(
            args.name, domains=args.domain, enrolment_url=args.enrolment_url, by=place.who, at=now()
        ).get()
        warnings = _warnings(before, place.bare_names())
        known, line, code = told(place.tell())
    text = f"Organisation {made.name} is there. {line}".strip()
    emit(args, {**document(made), **known, "warnings": warnings}, "\n".join([text, *warnings]))
    return code


def _warnings(before: str, after: str) -> list[str]:
    """What people should hear of bare login names, whose domain was ``before`` and is ``after``."""
    if not before or after:
        return []
    return [
        f"Warning: until now a login name without a domain meant one in {before}. With several domains such names are "
        f'refused, unless the settings say what they mean: default_domain = "{before}" in [doors].'
    ]


def run_list(args: Namespace) -> int:
    """Lists them."""
    from .common import emit
    from .shared import installation, table

    with installation(args) as place:
        found = place.store.organisations()
    rows = [[o.name, ", ".join(o.domains), o.enrolment_url] for o in found]
    emit(
        args,
        {"organisations": [document(o) for o in found]},
        table(rows, ["name", "domains", "enrolment address"]),
    )
    return 0


def run_set(args: Namespace) -> int:
    """Changes name or enrolment address."""
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        changed = place.store.organisation(args.name).update(
            name=args.rename, enrolment_url=args.enrolment_url, by=place.who, at=now()
        )
        known, line, code = told(place.tell())
    answer = {**document(changed), **known, "warnings": []}
    emit(args, answer, f"Organisation {changed.name} was changed. {line}".strip())
    return code


def run_remove(args: Namespace) -> int:
    """Deletes one, asked for twice."""
    from .common import CommandError, emit
    from .shared import installation, now, told

    with installation(args) as place:
        gone = place.store.organisation(args.name).get()
        if not args.yes:
            raise CommandError(
                f"This deletes {gone.name} with all its accounts and devices; say so with --yes."
            )
        place.store.delete_organisation(gone.id, by=place.who, at=now())
        known, line, code = told(place.tell())
    emit(args, {"removed": document(gone), **known}, f"Organisation {gone.name} is gone. {line}".strip())
    return code


def run_domain_add(args: Namespace) -> int:
    """Adds a domain."""
    return _domain(args, "add_domain", "was added")


def run_domain_remove(args: Namespace) -> int:
    """Takes a domain away."""
    return _domain(args, "remove_domain", "was taken away")


def _domain(args: Namespace, call: str, done: str) -> int:
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation(args.org)
        before = place.bare_names()
        changed = getattr(organisation, call)(args.domain, by=place.who, at=now())
        warnings = _warnings(before, place.bare_names()) if call == "add_domain" else []
        known, line, code = told(place.tell())
    text = f"{args.domain} {done}. {line}".strip()
    emit(args, {**document(changed), **known, "warnings": warnings}, "\n".join([text, *warnings]))
    return code
