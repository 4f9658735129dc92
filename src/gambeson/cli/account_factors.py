"""``gambeson account code`` and ``account factors``: how a person comes to a second factor, and to another one after a
loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from gambeson.app.binding import BindingCode
    from gambeson.store.authenticators import StoredAuthenticator

    from . import Commands


def declare(group: Commands) -> None:
    """Declares both below ``account``, whose file calls this."""
    code = group.add("code", "make a code with which a person binds a second factor at the portal", run_code)
    code.add_argument("address", metavar="ADDRESS")
    factors = group.add("factors", "list the second factors of an account, or remove them", run_factors)
    factors.add_argument("address", metavar="ADDRESS")
    which = factors.add_mutually_exclusive_group()
    which.add_argument("--remove", metavar="ID", help="forget one")
    which.add_argument(
        "--remove-all",
        action="store_true",
        help="forget all, end the account's sessions at the portal, and make a new code",
    )


def run_code(args: Namespace) -> int:
    """Makes a binding code."""
    from gambeson.app.binding import make_code

    from .common import emit
    from .shared import installation, now

    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        account = organisation.accounts.find(args.address)
        code = make_code(place, organisation, account, now())
        place.tell()  # nothing for the doors; where nothing runs, the audit log is sealed here
    emit(args, {"address": account.address, **_coded(code)}, _told_code(account.address, code))
    return 0


def run_factors(args: Namespace) -> int:
    """Lists an account's second factors, or removes one or all."""
    from gambeson.app.binding import make_code

    from .common import emit
    from .shared import installation, now, told

    code, ended, removed = None, 0, 0
    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        account = organisation.accounts.find(args.address)
        at = now()
        if args.remove:
            organisation.authenticators.remove(account.id, args.remove, by=place.who, at=at)
            removed = 1
        elif args.remove_all:
            removed = organisation.authenticators.remove_all(account.id, by=place.who, at=at)
            ids = organisation.web_sessions.end(
                account.id, reason="second factors removed", by=place.who, at=at
            )
            ended = len(ids)
            code = make_code(place, organisation, account, at) if account.enabled else None
        known, line, exit_code = told(place.tell()) if removed or args.remove_all else ({}, "", 0)
        left = organisation.authenticators.list(account.id)
        pending = organisation.binding_codes.pending(account.id, at)
    document: dict[str, object] = {
        "address": account.address,
        "factors": [_document(each) for each in left],
        "code_pending_until": _shown(pending),
    }
    if args.remove or args.remove_all:
        document |= {"removed": removed, "sessions_ended": ended, **_coded(code), **known}
        text = f"{removed} removed from {account.address}. {line}".strip()
        text += f"\n{_told_code(account.address, code)}" if code is not None else ""
    else:
        text = _table(left)
    emit(args, document, text)
    return exit_code


def _document(found: StoredAuthenticator) -> dict[str, object]:
    return {
        "id": found.id,
        "kind": found.kind.value,
        "name": found.name,
        "backed_up": found.backed_up,
        "codes_left": len(found.verifiers),
        "created": _shown(found.created_at),
        "last_used": _shown(found.last_used),
    }


def _table(found: Sequence[StoredAuthenticator]) -> str:
    from .shared import table

    rows = [
        [
            each.id,
            each.kind.value,
            each.name,
            str(len(each.verifiers)) if each.verifiers else "",
            _shown(each.created_at) or "",
            _shown(each.last_used) or "never",
        ]
        for each in found
    ]
    return table(rows, ["id", "kind", "name", "codes left", "created", "last used"])


def _coded(code: BindingCode | None) -> dict[str, object]:
    return {"code": code.text if code else None, "code_ends": _shown(code.ends) if code else None}


def _told_code(address: str, code: BindingCode) -> str:
    return (
        f"Code for {address}: {code.text}\n"
        f"Good once, until {_shown(code.ends)}. Tell it in person or by telephone, after you know who asks; never"
        " send it to the mailbox that it opens. It is not shown again."
    )


def _shown(at: float) -> str | None:
    from .shared import shown_time

    return shown_time(at)
