"""What the stores of staff share: a member of staff by id, and the rule that an owner stays.

Once somebody owns the installation (enabled, an owner of every organisation without an end, with a passkey), no change
leaves it without such a one: nobody could sign in to undo it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from gambeson.model.staff import EVERY, Role

from . import staff_schema as tables
from .errors import Conflict, NotFound
from .installation import Whole, WholeChange
from .scope import Scope


def staff_row(scope: Scope, id: str, *, enabled: bool = False) -> sa.Row[Any]:
    """The row of a member of staff, whoever asks. Raises NotFound; with ``enabled`` Conflict for one who is not."""
    row = scope.conn.execute(sa.select(tables.staff).where(tables.staff.c.id == id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no member of staff {id[:80]!a}: look at the list of staff.")
    if enabled and not row.enabled:
        raise Conflict(f"{row.name} is disabled: enable the member of staff first.")
    return row


def owners(scope: Whole) -> int:
    """How many own the installation: see above."""
    staff, grants, passkeys = tables.staff, tables.staff_grants, tables.staff_passkeys
    owning = sa.select(grants.c.staff).where(
        grants.c.organisation == EVERY, grants.c.role == str(Role.OWNER), grants.c.until == 0
    )
    query = (
        sa.select(sa.func.count())
        .select_from(staff)
        .where(staff.c.enabled, staff.c.id.in_(owning), staff.c.id.in_(sa.select(passkeys.c.staff)))
    )
    return int(scope.conn.execute(query).scalar_one())


@contextmanager
def owned_still(change: WholeChange) -> Iterator[None]:
    """Raises Conflict where what is done inside leaves nobody who owns the installation, and there was somebody."""
    before = owners(change)
    yield
    if before and not owners(change):
        raise Conflict(
            "This is the last owner who can sign in: make another owner of every organisation with a passkey first."
        )
