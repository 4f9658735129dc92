"""People from a table: CSV in (RFC 4180, and what spreadsheets make of it), rows with a problem for each line that is
none, and what importing them would change.

Rules:

- Everything has a limit: 5 MB, 20,000 rows, 500 characters a field. What is over it is a problem, never an error.
- Columns are found by their name, in English or German, in any order. A column that is not known is named and passed
  over; so is a person's name, which an account does not have. Without an address column nothing is read.
- Several groups or aliases stand in one field, between commas, semicolons, bars or line ends (aliases: blanks too).
- An empty field changes nothing; a single dash empties what is there.
- On the way out a cell that a spreadsheet would take for a formula gets an apostrophe before it (``csv_cells``); on
  the way in it is taken off, so that our own table can be read back.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gambeson.model.address import canonical
from gambeson.model.asset import Account

from .csv_cells import plain_cell, write

MAX_BYTES = 5 * 1024 * 1024
MAX_ROWS = 20_000
MAX_FIELD = 500
MAX_COLUMNS = 50
MAX_PROBLEMS = 1_000  # told; the rest is counted
MAX_NAME, MAX_LOGIN, MAX_SERVER, MAX_MANY = 100, 254, 100, 200  # as the store has them
COLUMNS = ("address", "aliases", "groups", "server", "upstream_login")
EMPTIED = "-"
_IGNORED = "name"
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "address": (
        "address",
        "email",
        "mail",
        "emailaddress",
        "mailaddress",
        "adresse",
        "emailadresse",
        "mailadresse",
    ),
    "aliases": ("aliases", "alias", "aliase", "aliasse", "weitereadressen", "furtheraddresses"),
    "groups": ("groups", "group", "gruppen", "gruppe"),
    "server": ("server", "mailserver"),
    "upstream_login": ("upstreamlogin", "login", "loginname", "anmeldename", "benutzername", "username"),
    _IGNORED: (
        "name",
        "firstname",
        "lastname",
        "fullname",
        "vorname",
        "nachname",
        "anzeigename",
        "displayname",
    ),
}
_COLUMN_OF = {word: column for column, words in _HEADERS.items() for word in words}
_BETWEEN = re.compile(r"[,;|\r\n]+")
_BETWEEN_ADDRESSES = re.compile(r"[,;|\s]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One person as the table has it, on ``line`` (counted from 1). None: the table does not say; empty: to be
    emptied. Addresses are canonical."""

    line: int
    address: str
    aliases: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    server: str | None = None
    upstream_login: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong on a line (0: with the file). ``reason`` is a stable word, ``column`` one of :data:`COLUMNS` or
    empty, ``value`` what stood there, short."""

    line: int
    column: str
    reason: str
    sentence: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What was read. ``ignored`` are the columns that were passed over, as written; ``more`` counts the problems
    beyond those told."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    ignored: tuple[str, ...] = ()
    delimiter: str = ","
    more: int = 0


def read(data: bytes) -> Table:
    """Like :func:`parse`, from a file's octets: UTF-8, UTF-16 with a mark, or Windows-1252 as of spreadsheets."""
    if len(data) > MAX_BYTES:
        return _too_large()
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            return parse(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    said = "The file is no text: save it as CSV UTF-8 and try again."
    return Table((), (Problem(0, "", "encoding", said),))


def parse(text: str) -> Table:
    """The rows and problems of a table. Raises nothing."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return _too_large()
    text, delimiter = _delimiter(text.removeprefix("\ufeff"))
    return _Reader(delimiter).read(text)


def export(accounts: Iterable[Account]) -> str:
    """Accounts as the table that :func:`parse` reads."""
    rows = (
        (a.address, ", ".join(a.aliases), ", ".join(a.groups), a.server, a.upstream_login) for a in accounts
    )
    return write(COLUMNS, rows)


class _Reader:
    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._rows: list[Row] = []
        self._problems: list[Problem] = []
        self._more = 0
        self._lines: dict[str, int] = {}  # of each address that was read

    def read(self, text: str) -> Table:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter, strict=True)
        header: list[str] | None = None
        ignored: tuple[str, ...] = ()
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                self._problem(line, "", "unreadable", f"This line cannot be read as CSV ({error}).")
                if header is None:
                    break
                continue
            if cells is None:
                break
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header, ignored, fine = self._header(line, cells)
                if not fine:
                    break
            elif len(self._rows) >= MAX_ROWS:
                said = f"The table has more than {MAX_ROWS} rows: import it in parts."
                self._problem(line, "", "too-many-rows", said)
                break
            else:
                self._row(line, header, cells)
        if header is None and not self._problems:
            said = "The file is empty: its first line names the columns, one of them the address."
            self._problem(0, "", "empty", said)
        return Table(tuple(self._rows), tuple(self._problems), ignored, self._delimiter, self._more)

    def _header(self, line: int, cells: list[str]) -> tuple[list[str], tuple[str, ...], bool]:
        found: list[str] = []
        ignored: list[str] = []
        fine = True
        for cell in cells[:MAX_COLUMNS]:
            column = _COLUMN_OF.get("".join(c for c in cell.lower() if c.isalpha()), "")
            if column in COLUMNS and column in found:
                said = f"Two columns are read as {column}: take one out."
                self._problem(line, column, "column-twice", said, cell)
                fine = False
            if column not in COLUMNS:
                ignored += [shown(cell)] if cell.strip() else []
                column = ""
            found.append(column)
        if len(cells) > MAX_COLUMNS:
            self._problem(line, "", "too-many-columns", f"The table has more than {MAX_COLUMNS} columns.")
            fine = False
        if "address" not in found:
            said = (
                "No column is named address (or e-mail, Adresse): name the one that has the mail addresses."
            )
            self._problem(line, "address", "no-address-column", said)
            fine = False
        return found, tuple(ignored), fine

    def _row(self, line: int, header: list[str], cells: list[str]) -> None:
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            said = (
                "This line has more fields than the first: put quotes around a field with a separator in it."
            )
            self._problem(line, "", "too-many-fields", said)
            return
        values: dict[str, str] = {}
        for column, cell in zip(header, cells, strict=False):
            if column and (why := _wrong(cell)):
                self._problem(line, column, why[0], why[1], cell)
                return
            if column:
                values[column] = plain_cell(cell.strip())
        try:
            address = canonical(values.get("address", ""))
        except ValueError as error:
            self._problem(line, "address", "address", str(error), values.get("address", ""))
            return
        if address in self._lines:
            said = f"{address} is on line {self._lines[address]} already: a person has one line."
            self._problem(line, "address", "twice", said, address)
            return
        aliases = self._aliases(line, address, values.get("aliases", ""))
        groups = self._groups(line, values.get("groups", ""))
        server = self._short(line, "server", values.get("server", ""), MAX_SERVER)
        login = self._short(line, "upstream_login", values.get("upstream_login", ""), MAX_LOGIN)
        if None not in (aliases, groups, server, login):
            self._lines[address] = line
            # Each is (what it says,), or () where it says nothing.
            one = [each[0] if each else None for each in (aliases, groups, server, login)]
            self._rows.append(Row(line, address, *one))  # type: ignore[arg-type]  # in the order of the fields
        return

    def _aliases(self, line: int, address: str, cell: str) -> tuple[tuple[str, ...], ...] | None:
        if cell in ("", EMPTIED):
            return ((),) if cell else ()
        found: dict[str, None] = {}
        for name in filter(None, _BETWEEN_ADDRESSES.split(cell)):
            try:
                found[canonical(name)] = None
            except ValueError as error:
                self._problem(line, "aliases", "address", str(error), name)
                return None
        found.pop(address, None)
        return (tuple(found),)

    def _groups(self, line: int, cell: str) -> tuple[tuple[str, ...], ...] | None:
        if cell in ("", EMPTIED):
            return ((),) if cell else ()
        found = tuple(dict.fromkeys(name.strip() for name in _BETWEEN.split(cell) if name.strip()))
        if any(len(name) > MAX_NAME for name in found):
            said = f"A group's name has at most {MAX_NAME} characters."
            self._problem(line, "groups", "too-long", said, cell)
            return None
        return (found,)

    def _short(self, line: int, column: str, cell: str, limit: int) -> tuple[str, ...] | None:
        if len(cell) > limit:
            self._problem(line, column, "too-long", f"This has at most {limit} characters.", cell)
            return None
        return ("" if cell == EMPTIED else cell,) if cell else ()

    def _problem(self, line: int, column: str, reason: str, sentence: str, value: str = "") -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(line, column, reason, sentence, shown(value)))
        else:
            self._more += 1


def _delimiter(text: str) -> tuple[str, str]:
    """The text to be read and its separator: what a first line ``sep=;`` says, else the commonest in the first line
    outside of quotes."""
    marked = re.match(r"sep=([,;\t])\r?\n", text)
    if marked:
        return text[marked.end() :], marked[1]
    first = text.lstrip("\r\n")[: MAX_FIELD * MAX_COLUMNS]
    outside = "".join(first.splitlines()[0].split('"')[::2]) if first else ""
    return text, max(",;\t", key=outside.count)


def _wrong(cell: str) -> tuple[str, str] | None:
    if len(cell) > MAX_FIELD:
        return "too-long", f"A field has at most {MAX_FIELD} characters."
    if any((c < " " and c not in "\t\r\n") or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in cell):
        return "control-character", "There is a control character in this field: remove it."
    return None


def _too_large() -> Table:
    said = f"The file is larger than {MAX_BYTES // 1024 // 1024} MB: import it in parts."
    return Table((), (Problem(0, "", "too-large", said),))


def shown(text: str) -> str:
    """What stood there, short and without what a page cannot show."""
    plain = "".join(c if c.isprintable() else "?" for c in text[:80])
    return plain if len(text) <= 80 else plain[:77] + "..."
