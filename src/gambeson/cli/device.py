"""``gambeson device``: register devices, list them, and take them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from gambeson.model.asset import Account, Credential, Device

    from . import Commands

_ENROL = """\
Registers a device of an account and prints its secret, once. The secret is the password that the device's mail program
uses; it opens the named doors and nothing else. With --certificate the device gets a client certificate instead
(PKCS#12 and PEM, in --out). Enrolment by an administrator on this machine is a step-up, and audited as such.
"""


def add(commands: Commands) -> None:
    """Declares ``device`` and what is below it."""
    group = commands.group("device", "the devices that read and send mail")
    enrol = group.add("enrol", "register a device and print its secret, once", run_enrol, _ENROL)
    enrol.add_argument("address", metavar="ADDRESS")
    enrol.add_argument("--name", metavar="NAME", required=True, help="such as 'Phone'")
    enrol.add_argument(
        "--doors", metavar="LIST", default="imap,submission", help="such as imap,pop3,submission,sieve"
    )
    enrol.add_argument("--expires", metavar="WHEN", help="a date, or a duration such as 180d")
    enrol.add_argument("--certificate", action="store_true", help="a client certificate instead of a secret")
    enrol.add_argument("--out", metavar="DIR", help="where the certificate's files go (default: here)")
    enrol.add_argument("--months", metavar="N", type=int, default=12, help="how long the certificate holds")
    enrol.add_argument(
        "--csr", metavar="FILE", help="sign this request (PEM); the key stays where it was made"
    )
    enrol.add_argument("--legacy", action="store_true", help="the PKCS#12's old encryption, for old phones")
    machine = enrol.add_argument_group("a machine: a scanner or an application, bound tighter")
    machine.add_argument("--machine", action="store_true", help="it is one")
    machine.add_argument(
        "--network", metavar="CIDR", action="append", default=[], help="where it is; may be repeated"
    )
    machine.add_argument(
        "--sender", metavar="ADDRESS", action="append", default=[], help="what it may send as"
    )
    machine.add_argument("--hourly-limit", metavar="N", type=int, default=0, help="messages an hour")
    machine.add_argument("--owner", metavar="NAME", default="", help="who answers for it")
    machine.add_argument("--review", metavar="WHEN", help="when somebody looks at it again")
    listing = group.add("list", "list the devices", run_list)
    listing.add_argument("address", metavar="ADDRESS", nargs="?", help="of this account")
    listing.add_argument("--machines", action="store_true", help="the machines only")
    for name, summary, run in (
        ("revoke", "take a device's credentials away for ever, and close its sessions", run_revoke),
        ("approve", "let a quarantined device in", run_approve),
        ("quarantine", "answer a device, but serve it nothing until it is approved", run_quarantine),
        ("block", "shut a device out", run_block),
        ("lost", "shut a lost device out", run_lost),
    ):
        parser = group.add(name, summary, run)
        parser.add_argument("device", metavar="ID", help="the device's id, or ADDRESS/NAME")
        parser.add_argument("--reason", metavar="TEXT", default="")
    crl = group.add("crl", "the revocation list of our client certificates (PEM)", run_crl)
    crl.add_argument("--out", metavar="FILE", help="where to write it, for a proxy in front (default: here)")
    adopt = group.add("adopt", "register a device that already has a certificate of its own", run_adopt)
    adopt.add_argument("address", metavar="ADDRESS")
    adopt.add_argument("--name", metavar="NAME", required=True)
    adopt.add_argument("--doors", metavar="LIST", default="imap,submission")
    adopt.add_argument("--certificate", metavar="FILE", required=True, help="its certificate (PEM)")
    from . import device_eas

    device_eas.declare(group)


def document(device: Device, account: Account | None, credentials: list[Credential]) -> dict[str, object]:
    """A device as JSON."""
    from .shared import shown_time

    return {
        "id": device.id,
        "account": account.address if account else device.account,
        "name": device.name,
        "kind": device.kind.value,
        "state": device.state.value,
        "doors": [door.value for door in device.doors],
        "created": shown_time(device.created_at),
        "expires": shown_time(device.expires_at),
        "networks": list(device.networks),
        "senders": list(device.senders),
        "hourly_limit": device.hourly_limit,
        "owner": device.owner,
        "review": shown_time(device.review_at),
        "credentials": [
            {
                "id": c.id,
                "kind": c.kind.value,
                "public_id": c.public_id,
                "created": shown_time(c.created_at),
                "expires": shown_time(c.expires_at),
                "revoked": shown_time(c.revoked_at),
            }
            for c in credentials
        ],
    }


def run_enrol(args: Namespace) -> int:
    """Registers a device."""
    from gambeson.app import enrolment

    from .common import CommandError, emit
    from .shared import installation, moment, now, told

    wish = enrolment.Wish(
        address=args.address,
        name=args.name,
        doors=tuple(args.doors.replace(" ", "").split(",")),
        expires_at=moment(args.expires) if args.expires else 0.0,
        machine=args.machine,
        networks=tuple(args.network),
        senders=tuple(args.sender),
        hourly_limit=args.hourly_limit,
        owner=args.owner,
        review_at=moment(args.review) if args.review else 0.0,
    )
    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        try:
            if args.certificate or args.csr:
                given = enrolment.with_certificate(
                    place, organisation, wish, now(), args.out or ".", args.months, args.csr, args.legacy
                )
            else:
                given = enrolment.with_secret(place, organisation, wish, now())
        except enrolment.EnrolmentError as error:
            raise CommandError(str(error), error.code) from None
        known, line, code = told(place.tell())
    emit(args, {**given.document, **known}, "\n".join([*given.lines, line]).strip())
    return code


def run_crl(args: Namespace) -> int:
    """Prints or writes the certificate revocation list, signed anew by the keeper."""
    from pathlib import Path

    from gambeson.process.whole_file import write_whole

    from .common import CommandError, Exit, emit
    from .shared import installation

    with installation(args) as place:
        pem = place.keeper.revocation_list()
    if not args.out:
        emit(args, {"crl": pem}, pem.rstrip())
        return Exit.GOOD
    out = Path(args.out)
    try:
        write_whole(out, pem, mode=0o644)  # whoever reads it meanwhile must not see half a list
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}.", Exit.UNREACHABLE) from None
    emit(args, {"crl": pem, "file": str(out)}, f"The revocation list is in {out}.")
    return Exit.GOOD


def run_adopt(args: Namespace) -> int:
    """Registers a device by the certificate it has."""
    from gambeson.app import enrolment

    from .common import CommandError, emit
    from .shared import installation, now, told

    wish = enrolment.Wish(args.address, args.name, tuple(args.doors.replace(" ", "").split(",")))
    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        try:
            given = enrolment.adopt(place, organisation, wish, now(), args.certificate)
        except enrolment.EnrolmentError as error:
            raise CommandError(str(error), error.code) from None
        known, line, code = told(place.tell())
    emit(args, {**given.document, **known}, "\n".join([*given.lines, line]).strip())
    return code


def run_list(args: Namespace) -> int:
    """Lists devices with their last use."""
    from gambeson.model.asset import DeviceKind

    from .common import emit
    from .shared import installation, shown_time, table

    with installation(args) as place:
        organisation = (
            place.organisation_of(args.address, args.org) if args.address else place.organisation(args.org)
        )
        account = organisation.accounts.find(args.address).id if args.address else None
        devices = organisation.devices.list(
            account=account, kind=DeviceKind.MACHINE if args.machines else None
        )
        accounts = {a.id: a for a in organisation.accounts.list()}
        credentials: dict[str, list[Credential]] = {}
        for credential in organisation.credentials.list():
            credentials.setdefault(credential.device, []).append(credential)
        used = organisation.events.last_use()
    listed, rows = [], []
    for device in devices:
        at, source, cloud = used.get(device.id, (0.0, "", ""))
        one = document(device, accounts.get(device.account), credentials.get(device.id, []))
        listed.append({**one, "last_used": shown_time(at), "last_source": source, "last_cloud": cloud})
        doors = ",".join(device.doors)
        rows.append(
            [
                device.id,
                str(one["account"]),
                device.name,
                device.kind.value,
                device.state.value,
                doors,
                shown_time(at) or "never",
                source,
                cloud,
            ]
        )
    head = ["id", "account", "name", "kind", "state", "doors", "last used", "from", "through"]
    if args.machines:
        # Apart, with who answers for each and when it is looked at again.
        head += ["owner", "review"]
        rows = [
            [*row, device.owner, shown_time(device.review_at) or ""]
            for row, device in zip(rows, devices, strict=True)
        ]
    emit(args, {"devices": listed}, table(rows, head))
    return 0


def run_revoke(args: Namespace) -> int:
    """Takes the credentials away."""
    return _act(args, "was revoked", "revoke")


def run_approve(args: Namespace) -> int:
    """Lets it in."""
    return _act(args, "is registered", "registered")


def run_quarantine(args: Namespace) -> int:
    """Answers it, serves nothing."""
    return _act(args, "is in quarantine", "quarantined")


def run_block(args: Namespace) -> int:
    """Shuts it out."""
    return _act(args, "is blocked", "blocked")


def run_lost(args: Namespace) -> int:
    """Shuts it out as lost."""
    return _act(args, "is marked as lost and shut out", "lost")


def _act(args: Namespace, done: str, what: str) -> int:
    from gambeson.app import enrolment
    from gambeson.model.asset import DeviceState

    from .common import CommandError, emit
    from .shared import installation, now, told

    with installation(args) as place:
        try:
            organisation, device = enrolment.find(place, args.device, args.org)
        except enrolment.EnrolmentError as error:
            raise CommandError(str(error), error.code) from None
        if what == "revoke":
            device = organisation.devices.revoke(device.id, reason=args.reason, by=place.who, at=now())
        else:
            device = organisation.devices.set_state(
                device.id, DeviceState(what), reason=args.reason, by=place.who, at=now()
            )
        account = organisation.accounts.get(device.account)
        credentials = list(organisation.credentials.list(device=device.id))
        known, line, code = told(place.tell())
    emit(args, {**document(device, account, credentials), **known}, f"{device.name} {done}. {line}".strip())
    return code
