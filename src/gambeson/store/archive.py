"""The backup archive: a ZIP with a manifest that says what is in it, how long and with which hash.

    manifest.json          read first and believed only as far as it can be checked
    control.db events.db   SQLite: the databases (restored to ``store/``), or
    tables/<name>.copy     PostgreSQL: each table in COPY text format
    files/<path>           what the caller added (settings, CA certificate ...)

An archive comes from a disk, a mail or a stranger: names are from a short alphabet and stay inside,
only what the manifest names is read, never more bytes than it says, and the whole has a limit.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

from .errors import BadValue, StoreDamaged, StoreFull, StoreUnreachable
from .urls import CONTROL_FILE, EVENTS_FILE, STORE_FOLDER

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST = 4 * 1024 * 1024
MAX_MEMBERS = 10_000
MAX_BYTES = 64 * 1024**3
_CHUNK = 1024 * 1024
_NAME = re.compile(r"(?:control\.db|events\.db|tables/[a-z_]{1,40}\.copy|files/[\w. @/+-]{1,300})\Z", re.A)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """``kind`` is sqlite or postgresql, ``schema`` the version of each lineage, ``tables`` the columns
    of each dumped table; ``audit_count`` and ``audit_hash`` are the head of the log at that moment."""

    kind: str
    made_at: float
    gambeson: str
    schema: dict[str, str]
    audit_count: int
    audit_hash: str
    files: dict[str, Member] = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> bytes:
        """The manifest as it stands in the archive."""
        # Not sorted: tables come after those that they refer to.
        return json.dumps(asdict(self), indent=1).encode()


def checked_name(name: str) -> str:
    """``name`` where it may stand in an archive and stays inside. Raises BadValue."""
    parts = name.split("/")
    odd = any(part in ("", ".", "..") or part != part.strip() for part in parts)
    # A database (or a journal for one) comes under its own name or not at all.
    disguised = parts[0] == "files" and any(
        part == STORE_FOLDER or part.startswith((CONTROL_FILE, EVENTS_FILE)) for part in parts[1:2]
    )
    if not _NAME.match(name) or odd or disguised:
        raise BadValue(f"{name[:80]!a} cannot be the name of a file in a backup.")
    return name


def add_file(archive: zipfile.ZipFile, name: str, path: Path) -> Member:
    """Writes the file at ``path`` into the archive as it is read, and says what was written."""
    with path.open("rb") as source:
        return add_stream(archive, name, iter(lambda: source.read(_CHUNK), b""))


def add_stream(archive: zipfile.ZipFile, name: str, chunks: Iterator[bytes]) -> Member:
    """Writes chunks into the archive under ``name``."""
    digest, size = sha256(), 0
    info = zipfile.ZipInfo(checked_name(name))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as target:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    return Member(size, digest.hexdigest())


def add_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Writes the manifest, last: an archive without one was not finished."""
    info = zipfile.ZipInfo(MANIFEST)
    info.external_attr = 0o600 << 16
    archive.writestr(info, manifest.to_json())


class Archive:
    """An opened archive whose manifest and list of members have been checked."""

    def __init__(self, file: zipfile.ZipFile, shown: str, max_bytes: int) -> None:
        self._file = file
        self._shown = shown
        self.manifest = self._read_manifest()
        members = [info for info in file.infolist() if info.filename != MANIFEST]
        names = [info.filename for info in members]
        if len(names) != len(set(names)) or set(names) != set(self.manifest.files):
            raise self._damaged("its files are not those of its manifest")
        for info in members:
            if info.file_size != self.manifest.files[info.filename].size or info.flag_bits & 1:
                raise self._damaged(f"{info.filename} is not as its manifest says")
        if sum(member.size for member in self.manifest.files.values()) > max_bytes:
            raise BadValue(f"The backup {shown} would unpack to more than {max_bytes} bytes: not restored.")

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a member. Raises StoreDamaged at the first byte too many, or at the end where
        the hash is another."""
        member = self.manifest.files[name]
        digest, size = sha256(), 0
        try:
            with self._file.open(name) as source:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    if size > member.size:
                        break
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            raise self._damaged(f"{name} cannot be read") from None
        if size != member.size or digest.hexdigest() != member.sha256:
            raise self._damaged(f"{name} is not as its manifest says")

    def extract(self, name: str, target: IO[bytes]) -> None:
        """Writes a member to an open file."""
        try:
            for chunk in self.chunks(name):
                target.write(chunk)
        except OSError as error:
            raise StoreFull(f"There is no room to unpack {name}: make room, nothing was changed.") from error

    def _read_manifest(self) -> Manifest:
        infos = self._file.infolist()
        if len(infos) > MAX_MEMBERS + 1:
            raise self._damaged("it has too many files")
        found = [info for info in infos if info.filename == MANIFEST]
        if len(found) != 1 or found[0].file_size > MAX_MANIFEST:
            raise self._damaged("it has no manifest")
        try:
            with self._file.open(found[0]) as source:
                raw = json.loads(source.read(MAX_MANIFEST + 1))
            return self._manifest(raw)
        except BadValue:
            raise self._damaged("its manifest names a file that no backup has") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            raise self._damaged("its manifest cannot be read") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise self._damaged("its manifest is not one of Gambeson's") from None

    def _manifest(self, raw: dict[str, object]) -> Manifest:
        if raw["format"] != FORMAT:
            raise StoreDamaged(
                f"The backup {self._shown} has format {ascii(raw['format'])[:20]} and this Gambeson reads"
                f" {FORMAT}: restore it with the version that made it."
            )
        files, tables, schema = raw["files"], raw["tables"], raw["schema"]
        if not isinstance(files, dict) or not isinstance(tables, dict) or not isinstance(schema, dict):
            raise TypeError("files, tables and schema are objects")
        members = {}
        for name, member in files.items():
            size, digest = int(member["size"]), str(member["sha256"])
            if size < 0:
                raise ValueError("a size is not negative")
            members[checked_name(name)] = Member(size, digest)
        return Manifest(
            kind=str(raw["kind"]),
            made_at=float(str(raw["made_at"])),
            gambeson=str(raw["gambeson"]),
            schema={str(k): str(v) for k, v in schema.items()},
            audit_count=int(str(raw["audit_count"])),
            audit_hash=str(raw["audit_hash"]),
            files=members,
            tables={str(k): [str(c) for c in v] for k, v in tables.items()},
        )

    def _damaged(self, what: str) -> StoreDamaged:
        return StoreDamaged(f"The backup {self._shown} cannot be used: {what}.")


@contextmanager
def open_archive(source: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[Archive]:
    """Opens and checks an archive. Raises StoreUnreachable, StoreDamaged, BadValue."""
    try:
        file = zipfile.ZipFile(source)
    except OSError as error:
        raise StoreUnreachable(f"The backup {source} cannot be read: check the path and its mode.") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise StoreDamaged(f"{source} is not a backup, or it was cut short.") from None
    with file:
        yield Archive(file, str(source), max_bytes)
