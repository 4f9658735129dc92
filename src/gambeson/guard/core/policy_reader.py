"""One table of a policy file, read key by key. Every fault is reported with its place; none raises.

A faulty value counts as not written, so that the rest of the file is looked at too; the policy as a whole is
then refused by ``policy_toml``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar

from gambeson.model.access import Rung
from gambeson.model.address import canonical

from .compiled import minute_of
from .policy_source import Place, Source

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_LIST = 1000
MAX_STRING = 400
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z")
E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


class Report(Protocol):
    """Takes one problem."""

    def __call__(self, place: Place, sentence: str, error: bool = True) -> None: ...  # noqa: D102


class Table:
    """Reads keys; ``done`` reports those that nobody asked for."""

    def __init__(
        self, values: dict[str, object], table: str, number: int, source: Source, report: Report
    ) -> None:
        self._values, self._table, self._number = values, table, number
        self._source, self._report = source, report
        self._asked: list[str] = []
        self.place = source.table(table, number)

    def error(self, key: str, sentence: str) -> None:
        """Report an error at this key."""
        self._report(self._source.key(self._table, self._number, key), sentence)

    def warn(self, key: str, sentence: str) -> None:
        """Report a warning at this key."""
        self._report(self._source.key(self._table, self._number, key), sentence, error=False)

    def done(self) -> None:
        """Report keys that are not known here."""
        for key in self._values:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.error(key, f"{key[:60]!r} is not known in [[{self._table}]]; known are {known}")

    def _get(self, key: str, required: bool = False) -> object:
        self._asked.append(key)
        value = self._values.get(key)
        if value is None and required:
            self.error(key, f"[[{self._table}]] needs {key!r}")
        return value

    def text(self, key: str, required: bool = False) -> str:
        """A string of one line, not blank."""
        value = self._get(key, required)
        if value is None:
            return ""
        if (
            not isinstance(value, str)
            or not value.strip()
            or len(value) > MAX_STRING
            or not value.isprintable()
        ):
            self.error(key, f"{key!r} must be one line of text of at most {MAX_STRING} characters")
            return ""
        return value

    def name(self) -> str:
        """The table's own name."""
        value = self.text("name", required=True)
        if value and not _NAME.match(value):
            self.error("name", f"{value[:60]!r} is no name; use small letters, digits, '-', '_' and '.'")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return self._list(key, lambda item: item, "text")

    def address(self, key: str) -> str:
        """One mail address."""
        value = self.text(key)
        if not value:
            return ""
        try:
            return canonical(value)
        except ValueError as error:
            self.error(key, str(error))
            return ""

    def addresses(self, key: str) -> tuple[str, ...]:
        """A list of mail addresses, in canonical form."""
        return self._list(key, canonical, "an address")

    def cidrs(self, key: str) -> tuple[str, ...]:
        """A list of address ranges, in canonical form."""
        return self._list(key, lambda item: str(ipaddress.ip_network(item, strict=True)), "an address range")

    def networks(self, key: str, declared: frozenset[str]) -> tuple[str, ...]:
        """A list of names of declared networks."""
        names = self._list(key, lambda item: item, "a network's name")
        for name in names:
            if name not in declared:
                known = ", ".join(sorted(declared)) or "none is declared"
                self.error(key, f"{name[:60]!r} is no declared network; known: {known}")
        return names

    def countries(self, key: str) -> tuple[str, ...]:
        """A list of ISO 3166 two-letter codes, in upper case."""

        def country(item: str) -> str:
            if not _COUNTRY.match(item):
                raise ValueError(f"{item[:60]!r} is no country code; write two letters such as DE")
            return item.upper()

        return self._list(key, country, "a country code")

    def one(self, key: str, kind: type[E], required: bool = False) -> E | None:
        """One word of an enumeration."""
        value = self._get(key, required)
        if value is None:
            return None
        try:
            return kind(str(value))
        except ValueError:
            self.error(key, f"{str(value)[:60]!r} is no {key}; known are {', '.join(kind)}")
            return None

    def many(self, key: str, kind: type[E]) -> tuple[E, ...]:
        """A list of words of an enumeration."""

        def member(item: str) -> E:
            try:
                return kind(item)
            except ValueError:
                raise ValueError(
                    f"{item[:60]!r} is not known in {key}; known are {', '.join(kind)}"
                ) from None

        return self._list(key, member, "a word")

    def rung(self, key: str, required: bool = False) -> Rung | None:
        """One rung of the proof ladder."""
        value = self._get(key, required)
        if value is None:
            return None
        try:
            return Rung.from_word(str(value)[:60])
        except ValueError as error:
            self.error(key, str(error))
            return None

    def flag(self, key: str) -> bool | None:
        """true or false; None where not written."""
        value = self._get(key)
        if value is None or isinstance(value, bool):
            return value
        self.error(key, f"{key!r} must be true or false")
        return None

    def number(self, key: str, low: int, high: int) -> int | None:
        """A whole number within bounds."""
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.error(key, f"{key!r} must be a whole number from {low} to {high}")
            return None
        return value

    def hours(self, key: str) -> tuple[str, str] | None:
        """From and to, as HH:MM in UTC; over midnight where the first is later."""
        values = self._list(key, lambda item: (minute_of(item), item)[1], "a time of day")
        if not values:
            return None
        if len(values) != 2 or values[0] == values[1]:
            self.error(key, f'{key!r} must be two different times in UTC, such as ["08:00", "18:00"]')
            return None
        return values[0], values[1]

    def weekdays(self, key: str) -> tuple[int, ...]:
        """Days by their first three letters; 0 is Monday."""

        def day(item: str) -> int:
            if item.lower() not in WEEKDAYS:
                raise ValueError(f"{item[:60]!r} is no day; known are {', '.join(WEEKDAYS)}")
            return WEEKDAYS.index(item.lower())

        return self._list(key, day, "a day")

    def time(self, key: str, required: bool = False) -> float:
        """Seconds since 1970 of a date (its end, in UTC) or of a date with time and offset."""
        value = self._get(key, required)
        if value is None:
            return 0.0
        try:
            if isinstance(value, datetime) and value.tzinfo is not None:
                return value.timestamp()
            if isinstance(value, date) and not isinstance(value, datetime):
                midnight = datetime(value.year, value.month, value.day, tzinfo=UTC)
                return (midnight + timedelta(days=1)).timestamp()
        except (OverflowError, ValueError):
            pass
        self.error(key, f"{key!r} must be a date such as 2027-01-31, or 2027-01-31T18:00:00Z, without quotes")
        return 0.0

    def inner(self, key: str) -> dict[str, object]:
        """A table within this one."""
        value = self._get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.error(key, f'{key!r} must be a table such as {{ imap = "device-key" }}')
            return {}
        return value

    def _list(self, key: str, read: Callable[[str], T], what: str) -> tuple[T, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not value or len(value) > MAX_LIST:
            self.error(
                key, f"{key!r} must be a list of 1 to {MAX_LIST}; drop the key if it should ask nothing"
            )
            return ()
        found: list[T] = []
        for item in value:
            if (
                not isinstance(item, str)
                or not item.strip()
                or len(item) > MAX_STRING
                or not item.isprintable()
            ):
                self.error(key, f"{key!r} holds something that is not {what}")
                continue
            try:
                one = read(item)
            except ValueError as error:
                self.error(key, str(error))
                continue
            if one in found:
                self.warn(key, f"{item[:60]!r} stands twice in {key!r}")
                continue
            found.append(one)
        return tuple(found)
