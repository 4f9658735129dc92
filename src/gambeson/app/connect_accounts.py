"""Accounts from a CSV file: one line an account, with its aliases and groups. Read whole and checked before anything
is made."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from gambeson.model.address import canonical

MAX_OCTETS, MAX_ROWS = 8 << 20, 100_000
HEAD = ("address", "aliases", "groups")


class CsvError(Exception):
    """The file cannot be taken. One sentence with the line."""


@dataclass(frozen=True, slots=True)
class Person:
    """One account: canonical addresses."""

    address: str
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def read_accounts(raw: bytes, file: str, domains: Sequence[str]) -> list[Person]:
    """The accounts in a CSV file with the columns address, aliases and groups (the last two may be left out; several
    values are separated by blanks or semicolons). ``domains`` are canonical. Raises CsvError."""
    if len(raw) > MAX_OCTETS:
        raise CsvError(f"{file} is larger than {MAX_OCTETS} octets; split it.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CsvError(f"{file} is not UTF-8; save it as UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    people: list[Person] = []
    seen: dict[str, int] = {}
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#") or (not people and cells[0].lower() == HEAD[0]):
                continue
            people.append(_person(cells, f"{file} line {reader.line_num}", domains))
            for address in (people[-1].address, *people[-1].aliases):
                if address in seen:
                    raise CsvError(
                        f"{file} line {reader.line_num}: {address} is in line {seen[address]} too; keep one."
                    )
                seen[address] = reader.line_num
            if len(people) > MAX_ROWS:
                raise CsvError(f"{file} has more than {MAX_ROWS} accounts; split it.")
    except csv.Error as error:
        raise CsvError(f"{file} line {reader.line_num}: this is no CSV: {error}; correct it.") from None
    return people


def _person(cells: list[str], where: str, domains: Sequence[str]) -> Person:
    if len(cells) > len(HEAD):
        raise CsvError(f"{where} has more than three columns; they are {', '.join(HEAD)}.")
    address, aliases, groups = (*cells, "", "")[:3]
    names = [_address(text, where) for text in (address, *aliases.replace(";", " ").split())]
    for name in names:
        if name.rpartition("@")[2] not in domains:
            raise CsvError(
                f"{where}: {name} is in none of the domains {', '.join(domains)}; add its --domain."
            )
    return Person(names[0], tuple(names[1:]), tuple(groups.replace(";", " ").split()))


def _address(text: str, where: str) -> str:
    try:
        return canonical(text)
    except ValueError as error:
        raise CsvError(f"{where}: {error}") from None
