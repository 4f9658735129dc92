"""``gambeson org``: the organisations of this installation and their domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from gambeson.app.installation import Installation
    from gambeson.guard.core.clouds import Clouds
    from gambeson.model.organisation import Organisation

    from . import Commands


_CLOUD = """\
Some programs (Outlook for iOS and Android, the new Outlook) hand the credential to their maker, whose cloud then reads
the mailbox and keeps a copy. They are recognised by what they call themselves and by the cloud's networks, at every
door of mail programs, and refused unless the organisation allows that cloud. Open sessions of a cloud that is refused
end at once.
"""


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
    cloud = group.group(
        "cloud", "programs that read mail through their maker's cloud: may they come in?", _CLOUD
    )
    for name, summary in (
        ("allow", "let the programs of a cloud service in"),
        ("refuse", "refuse the programs of a cloud service (as long as nobody said otherwise, all are)"),
    ):
        parser = cloud.add(name, summary, run_cloud_allow if name == "allow" else run_cloud_refuse)
        parser.add_argument("cloud", metavar="CLOUD", help="such as microsoft")
    cloud.add("list", "the cloud services that are known, and which may come in", run_cloud_list)
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
        "clouds": list(organisation.clouds),
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
    rows = [[o.name, ", ".join(o.domains), o.enrolment_url, ", ".join(o.clouds)] for o in found]
    emit(
        args,
        {"organisations": [document(o) for o in found]},
        table(rows, ["name", "domains", "enrolment address", "clouds let in"]),
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


def run_cloud_allow(args: Namespace) -> int:
    """Lets a cloud service's programs in."""
    return _cloud(args, allowed=True)


def run_cloud_refuse(args: Namespace) -> int:
    """Refuses them."""
    return _cloud(args, allowed=False)


def _cloud(args: Namespace, *, allowed: bool) -> int:
    from .common import CommandError, emit
    from .shared import installation, now, told

    with installation(args) as place:
        clouds = _known(place)
        organisation = place.organisation(args.org)
        if clouds.get(args.cloud) is None and (allowed or args.cloud not in organisation.get().clouds):
            known = ", ".join(cloud.id for cloud in clouds.all)
            raise CommandError(f"No cloud service is called {args.cloud[:40]!a}; known are {known}.")
        changed = organisation.set_cloud(args.cloud, allowed=allowed, by=place.who, at=now())
        known_, line, code = told(place.tell())
    name, done = clouds.named(args.cloud), "may come in" if allowed else "are refused"
    text = f"Programs through {name} {done} at {changed.name}. {line}".strip()
    emit(args, {**document(changed), **known_, "warnings": []}, text)
    return code


def run_cloud_list(args: Namespace) -> int:
    """Lists the cloud services."""
    from .common import emit
    from .shared import installation, table

    with installation(args) as place:
        clouds, allowed = _known(place), place.organisation(args.org).get().clouds
    listed = [
        {
            "id": cloud.id,
            "name": cloud.name,
            "allowed": cloud.id in allowed,
            "networks": list(cloud.networks),
            "dated": cloud.dated,
            "source": cloud.source,
        }
        for cloud in clouds.all
    ]
    rows = [
        [c.id, c.name, "allowed" if c.id in allowed else "refused", str(len(c.networks)), c.dated]
        for c in clouds.all
    ]
    emit(args, {"clouds": listed}, table(rows, ["id", "name", "here", "networks", "as of"]))
    return 0


def _known(place: Installation) -> Clouds:
    from gambeson.guard.core.clouds import CloudError
    from gambeson.guard.edge.clouds import read_clouds

    from .common import CommandError

    try:
        return read_clouds(place.config.doors.clouds)
    except CloudError as error:
        raise CommandError(str(error)) from None
