"""Which country an address belongs to, by a table on this machine: nobody is asked over the network.

The table is a file in the MaxMind DB format (version 2) whose records hold ``country.iso_code``, as GeoLite2-Country
and DB-IP Lite Country do. It is read into memory once, while the process may still open files; a reload reads a new
one. Such tables are made from what networks say of themselves: a hint, never a proof. What is not known is an empty
string, and so is every address that is not of the internet (loopback, private, link-local, documentation).
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from itertools import islice
from pathlib import Path

import maxminddb

MAX_OCTETS = 256 * 1024 * 1024  # the largest country tables have some 10 MB, with cities 70
_KEPT = 16_384  # answers kept, by address (IPv6: by /64)
_LOOKED_AT = 2_000  # records, until one with a country must have come
# What the library raises for a file that is not what it says: documented is only the first.
_BROKEN = (
    maxminddb.InvalidDatabaseError,
    ValueError,
    TypeError,
    LookupError,
    RecursionError,
    ArithmeticError,
)


class CountryTableError(ValueError):
    """The table can't be used. One sentence for a person."""


class CountryTable:
    """A table in memory. ``built`` is when its maker made it, in seconds since 1970."""

    def __init__(self, path: str) -> None:
        """Raises CountryTableError."""
        try:
            if Path(path).stat().st_size > MAX_OCTETS:
                raise CountryTableError(
                    f"the country table {path} is larger than {MAX_OCTETS >> 20} MiB; name the smaller country edition."
                )
            self._reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
            self.built = float(self._reader.metadata().build_epoch)
            known = any(_code(record) for _, record in islice(self._reader, _LOOKED_AT))
        except OSError as error:
            raise CountryTableError(
                f"the country table {path} can't be read ({error.strerror}); correct doors.country_table."
            ) from None
        except CountryTableError:
            raise
        except _BROKEN:
            raise CountryTableError(
                f"the country table {path} is broken or no MaxMind DB file; download it again."
            ) from None
        if not known:
            raise CountryTableError(
                f"the country table {path} holds no countries (country.iso_code); name a country edition."
            )
        self.of = lru_cache(maxsize=_KEPT)(self._look)

    def _look(self, source: str) -> str:
        """The country of an address or of a source prefix (``2001:db8::/64``) in canonical text: two capital letters,
        empty where it is not known. Raises nothing."""
        try:
            address = ipaddress.ip_address(source.partition("/")[0])
            if not address.is_global:
                return ""
            return _code(self._reader.get(address))
        except _BROKEN:
            return ""


def _code(record: object) -> str:
    """ISO 3166 letters of a record; empty where it has none."""
    country = record.get("country") if isinstance(record, dict) else None
    code = country.get("iso_code") if isinstance(country, dict) else None
    return (
        code.upper() if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha() else ""
    )
