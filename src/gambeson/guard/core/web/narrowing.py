"""Which conditions of shields a request may fulfil at all, found cheaply: for the door and for stored logs.

What method, path, headers and cookies rule out is worked out once for each of them. Of the rest most have a text that
must be in the url (its *word*), and a legitimate request has none of these texts. So a look for some words answers for
all conditions at once. Whatever is not ruled out here is asked in full: narrowing decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Narrowed(NamedTuple):
    """What is left for one path, by number, ascending. ``always``: whatever the query is. ``every``: these and those
    with a word, where a query has one. ``words`` have no place in the path and must be in the query; ``across`` could
    begin in the path and end in the query. ``alive`` is what it was made for."""

    alive: frozenset[int]
    paths: tuple[str, ...]
    always: tuple[int, ...]
    every: tuple[int, ...]
    words: tuple[str, ...]
    across: tuple[str, ...]

    def of_query(self, query: str) -> tuple[int, ...]:
        """The conditions that may hold with this canonical query (not empty)."""
        for word in self.words:
            if word in query:
                return self.every
        if self.across:
            for path in self.paths:
                url = f"{path}?{query}"
                for word in self.across:
                    if word in url:
                        return self.every
        return self.always


def narrowed(
    left: Iterable[int], alive: frozenset[int], words: Sequence[str], paths: tuple[str, ...]
) -> Narrowed:
    """``left`` are the conditions that method and path leave open, ``alive`` those that headers and cookies do;
    ``words`` has a text for each condition that must be in the url (empty: none), ``paths`` the path's forms."""
    always: list[int] = []
    worded: list[int] = []
    inside: set[str] = set()
    across: set[str] = set()
    for number in left:
        if number not in alive:
            continue
        word = words[number]
        if not word or any(word in path for path in paths):
            always.append(number)
        else:
            worded.append(number)
            (across if "?" in word else inside).add(word)
    return Narrowed(
        alive,
        paths,
        tuple(sorted(always)),
        tuple(sorted(always + worded)),
        _least(inside),
        _least(across),
    )


def _least(words: set[str]) -> tuple[str, ...]:
    """Without those that hold another one of them: where that is not, they are not."""
    return tuple(sorted(one for one in words if not any(other != one and other in one for other in words)))
