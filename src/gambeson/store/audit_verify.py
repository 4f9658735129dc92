"""Finding what was done to an audit log. Pure: entries in, faults out.

The walk follows the links, not the numbers, so that one removed or inserted entry is named once,
even where everything after it was renumbered. Kinds of faults:

=============  ==================================================================================
changed        the entry's text is not what its hash was made of
missing        a number is not there, or entries were taken out and the rest renumbered
inserted       an entry that the next one does not know of
re-ordered     the entry is whole, but stood at another number
cut-off        entries at the end are gone: the signed head or the installation's row counts more
rewritten      the chain fits itself but not what the keeper signed
head           a stored head is not signed by the keeper, or there is none
=============  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditFault:
    """``seq`` is the number of the entry; ``sentence`` says what is wrong with it."""

    kind: str
    seq: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Tip:
    """Where the chain ends by the installation's own row, and that installation's name."""

    count: int
    hash: str
    installation: str


class Link(Protocol):
    """What the walk needs of an entry."""

    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def prev_hash(self) -> str: ...  # noqa: D102
    @property
    def hash(self) -> str: ...  # noqa: D102
    def hash_as(self, seq: int) -> str: ...  # noqa: D102


def find_faults(
    entries: Iterable[Link],
    tip: Tip,
    heads: Sequence[tuple[int, str, float]],
    position: Callable[[str], int | None],
) -> list[AuditFault]:
    """Walks the log. ``heads`` are (count, hash, at), signatures checked, in order of count;
    ``position`` finds the number of the entry with a hash."""
    walk = _Walk(position, {count: digest for count, digest, _ in heads})
    for link, following in _with_next(entries):
        walk.step(link, following)
    walk.end(tip, heads)
    return walk.faults


class _Walk:
    def __init__(self, position: Callable[[str], int | None], heads: dict[int, str]) -> None:
        self.faults: list[AuditFault] = []
        self._position = position
        self._heads = heads
        self._at_head: dict[int, str] = {}  # hashes that stand where a head was signed
        self._expected = _GENESIS
        self._last = 0
        self._shift = 0  # true number minus present number, after a renumbering

    def step(self, link: Link, following: Link | None) -> None:
        gap = link.seq - self._last - 1
        if gap > 0 and link.seq > 0:
            self._fault("missing", self._last + 1, _range(self._last + 1, link.seq - 1, "missing"))
        self._last = link.seq
        linked = link.prev_hash == self._expected
        true = self._true_number(link)
        # The entry after this one names the one before it: it was made when this was not there.
        foreign = following is not None and following.prev_hash == self._expected
        if foreign and (true is None or true == link.seq):
            self._fault("inserted", link.seq, "was inserted: the entry after it does not know of it")
            self._shift -= link.seq > 0  # those after it were pushed on by one
            return
        if true is None:
            self._fault("changed", link.seq, "was changed: its text does not fit its hash")
        elif linked:
            if true != link.seq + self._shift and gap <= 0:
                self._moved(link, true)
        elif gap <= 0 and not self._explain_break(link, true):
            self._fault("changed", link.seq - 1, "was changed: the entry after it was made for another")
        if link.seq in self._heads:
            self._at_head[link.seq] = link.hash
        self._expected = link.hash

    def _explain_break(self, link: Link, true: int) -> bool:
        """The entry is whole but does not follow the one before it: because it was moved here, or
        because entries before it were taken out (and it was renumbered)."""
        before = self._position(link.prev_hash)
        if before is not None and true != link.seq + self._shift:
            self._moved(link, true)
            return True
        if true > link.seq + self._shift:
            removed = true - link.seq - self._shift
            self._shift += removed
            self._fault("missing", link.seq, _removed(removed, link.seq))
            return True
        return before is not None and self._recently_moved(link)

    def _recently_moved(self, link: Link) -> bool:
        """An entry in its own place, after one that was moved: told already."""
        return any(f.kind in ("re-ordered", "inserted") and f.seq == link.seq - 1 for f in self.faults)

    def _moved(self, link: Link, true: int) -> None:
        self._fault("re-ordered", link.seq, f"was moved: it stood at number {true}")

    def _true_number(self, link: Link) -> int | None:
        """The number for which the entry's hash was made; None where its text was changed."""
        before = self._position(link.prev_hash) if link.prev_hash != self._expected else None
        near = link.seq + self._shift
        candidates = [near, link.seq, *([before + 1] if before is not None else [])]
        if link.hash_as(near) != link.hash:
            candidates += [near + d for k in range(1, 65) for d in (k, -k)]
        return next((n for n in candidates if link.hash_as(n) == link.hash), None)

    def _fault(self, kind: str, seq: int, what: str) -> None:
        self.faults.append(AuditFault(kind, seq, f"Audit entry {seq} {what}."))

    def end(self, tip: Tip, heads: Sequence[tuple[int, str, float]]) -> None:
        """Holds the end of the walk against the installation's row and the signed heads."""
        promised = max([tip.count, *(count for count, _, _ in heads)])
        if promised > self._last:
            first = self._last + 1
            self._fault("cut-off", first, _range(first, promised, "cut off at the end"))
        elif self._last > tip.count:
            self._fault("inserted", self._last, "was added past the end of the log")
        elif self._expected != tip.hash and not self.faults:
            self._fault("changed", self._last, "was changed: the log does not end in its recorded hash")
        if not heads and promised:
            self.faults.append(AuditFault("head", promised, "No signed head is stored: sealing never ran."))
        told = {f.seq for f in self.faults}
        good = 0
        for count, digest, _ in heads:
            if count and self._at_head.get(count, digest) != digest:
                if not any(seq <= count for seq in told):
                    what = f"or one before it (from {good + 1} on) was rewritten after it was signed"
                    self._fault("rewritten", count, what)
                break
            good = count


def _with_next(entries: Iterable[Link]) -> Iterator[tuple[Link, Link | None]]:
    before: Link | None = None
    for link in entries:
        if before is not None:
            yield before, link
        before = link
    if before is not None:
        yield before, None


def _range(first: int, last: int, what: str) -> str:
    return f"is {what}" if first == last else f"to {last} are {what}"


def _removed(count: int, seq: int) -> str:
    noun = "an entry" if count == 1 else f"{count} entries"
    return f"does not follow the one before it: {noun} that stood at {seq} were taken out"
