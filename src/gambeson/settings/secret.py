"""Secrets in the settings file are references, never values.

``file:/path`` reads a file that only its owner and group may read, ``env:NAME`` an environment variable,
``credential:NAME`` a systemd credential (a file in ``$CREDENTIALS_DIRECTORY``).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .declare import SettingsError

MAX_SECRET = 65536  # octets
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is. ``kind`` is ``file``, ``env`` or ``credential``; ``name`` a path or a name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str, base: Path) -> SecretRef:
        """Reads ``kind:name``; a relative path is seen from ``base``. Raises ValueError, which never repeats
        the text: it may be the secret itself."""
        kind, colon, name = text.partition(":")
        if colon and kind == "file" and name and "\0" not in name:
            return cls(kind, str(base / name))
        if colon and kind in ("env", "credential") and _NAME.fullmatch(name):
            return cls(kind, name)
        raise ValueError(
            "must be a reference (file:/path, env:NAME or credential:NAME), "
            "never the secret itself; put the secret into a file and name that"
        )

    def read(self, environ: Mapping[str, str] | None = None) -> bytes:
        """The secret, without one final line break. Raises SettingsError."""
        env = os.environ if environ is None else environ
        if self.kind == "env":
            value = env.get(self.name, "")
            if not value:
                raise SettingsError(
                    f"The environment variable {self.name} holds a secret but is not set; set it."
                )
            return os.fsencode(value)
        path = Path(self.name)
        if self.kind == "credential":
            folder = env.get("CREDENTIALS_DIRECTORY", "")
            if not folder:
                raise SettingsError(
                    f"{self} needs systemd's credentials (CREDENTIALS_DIRECTORY is not set); "
                    f"start it as a unit with LoadCredential={self.name}:... or use a file: reference."
                )
            path = Path(folder, self.name)
        return self._read_file(path)

    def _read_file(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    raise SettingsError(f"{path} should hold a secret but is no file; name a file.")
                if mode & (stat.S_IWGRP | stat.S_IRWXO):
                    raise SettingsError(
                        f"{path} holds a secret but others may read or change it; run: chmod 0600 {path}"
                    )
                value = file.read(MAX_SECRET + 1)
        except OSError as error:
            raise SettingsError(
                f"The secret {self} cannot be read: {error.strerror}.", unreadable=True
            ) from None
        if len(value) > MAX_SECRET:
            raise SettingsError(
                f"{path} is larger than {MAX_SECRET} octets, which no secret is; name the right file."
            )
        value = value.removesuffix(b"\n").removesuffix(b"\r")
        if not value:
            raise SettingsError(f"{path} should hold a secret but is empty; write it there.")
        return value
