"""Break-glass codes: sealed on paper, for the day when nobody can sign in.

One code opens one session, and in the same transaction all others are void: after a use new ones are made. Only their
verifiers are kept.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from . import plain
from . import staff_schema as tables
from .errors import BadValue, NotFound
from .installation import Installed, WholeChange

MAX_CODES = 32
VERIFIER = 32  # octets


class BreakGlass(Installed):
    """The break-glass part of :class:`gambeson.store.staff.StaffStore`."""

    def set_codes(self, verifiers: Sequence[bytes], *, by: str, at: float) -> int:
        """Makes these the codes, and all before void; gives how many were still good. Raises BadValue."""
        new = [bytes(v).hex() for v in verifiers]
        if not 0 < len(new) <= MAX_CODES or len(set(new)) != len(new):
            raise BadValue(f"There are between 1 and {MAX_CODES} codes, each once.")
        if any(len(v) != VERIFIER for v in verifiers):
            raise BadValue(f"A code's verifier has {VERIFIER} octets.")
        table = tables.break_glass_codes
        with self._changing(by, at) as change:
            good = len(change.rows(table, table.c.ended == ""))
            change.delete(table)
            for verifier in new:
                change.insert(
                    table, verifier=verifier, by=change.by, made_at=plain.moment(at), ended="", ended_at=0.0
                )
            change.audit("break-glass.codes-made", "", codes=len(new), replaced=good)
        return good

    def codes(self) -> tuple[int, float]:
        """How many codes are good, and when the last ones were made (0: never)."""
        table = tables.break_glass_codes
        with self._reading() as scope:
            rows = scope.rows(table)
        return sum(row.ended == "" for row in rows), max((float(row.made_at) for row in rows), default=0.0)

    def code_used_at(self) -> float:
        """When one of the present codes was used; 0: none was."""
        table = tables.break_glass_codes
        with self._reading() as scope:
            row = scope.one(table, table.c.ended == "used")
        return float(row.ended_at) if row is not None else 0.0

    def use_code(self, verifier: bytes, *, by: str, at: float) -> int:
        """Takes a code, and makes all others void in the same transaction; gives how many those are, plus one for the
        code itself. Raises NotFound where no good code is this one."""
        table, wanted = tables.break_glass_codes, bytes(verifier).hex()
        with self._reading() as scope:  # whoever types nonsense makes no writer wait
            if not any(hmac.compare_digest(str(row.verifier), wanted) for row in scope.rows(table)):
                raise _unknown()
        with self._changing(by, at) as change:
            good = [str(row.verifier) for row in change.rows(table, table.c.ended == "")]
            found = [one for one in good if hmac.compare_digest(one, wanted)]
            if not found:
                raise _unknown()
            _end(change, found[0], "used")
            for other in good:
                if other != found[0]:
                    _end(change, other, "void")
            change.audit("break-glass.used", "", voided=len(good) - 1)
        return len(good)


def _end(change: WholeChange, verifier: str, how: str) -> None:
    table = tables.break_glass_codes
    change.update(table, table.c.verifier == verifier, ended=how, ended_at=change.at)


def _unknown() -> NotFound:
    return NotFound("This code is not right or not good any more: take the newest list.")
