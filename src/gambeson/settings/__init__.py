"""The settings: every one declared once, read from one TOML file, refused in one sentence.

``load(path)`` gives a frozen :class:`Config`; ``config.servers`` are the mail servers of the model.
"""

from __future__ import annotations

from .config import Config
from .data import SenderCheck
from .declare import SettingsError
from .doors import TlsVersion
from .kinds import Address
from .load import load, loads
from .secret import SecretRef
from .servers import Server

__all__ = [
    "Address",
    "Config",
    "SecretRef",
    "SenderCheck",
    "Server",
    "SettingsError",
    "TlsVersion",
    "load",
    "loads",
]
