"""The virtual directories of the front end and how each authenticates by default.

Source: Microsoft, "Default settings for Exchange virtual directories" (Exchange Server 2019). Where the default
is Windows authentication, the playground has Basic switched on as well, as docs/doors-web.md asks of a real
server as long as there is no Kerberos delegation.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "15.2.1544.11"
SERVER = "EMULATOR01"


@dataclass(frozen=True, slots=True)
class Directory:
    """``path`` in lower case, without the final slash. ``challenges`` are the WWW-Authenticate values of a 401;
    ``anonymous``: some of its pages need no sign-in; ``forms``: a browser is led to the form instead of a 401."""

    path: str
    challenges: tuple[str, ...] = ()
    anonymous: bool = False
    forms: bool = False


_BASIC = 'Basic realm="mail.localhost"'
_WINDOWS = ("Negotiate", "NTLM")

DIRECTORIES = (
    Directory("/owa", (_BASIC,), forms=True),
    Directory("/ecp", (_BASIC,), anonymous=True, forms=True),
    Directory("/ews", (*_WINDOWS, _BASIC), anonymous=True),
    Directory("/mapi", (*_WINDOWS, _BASIC)),
    Directory("/microsoft-server-activesync", (_BASIC,)),
    Directory("/oab", (*_WINDOWS, _BASIC)),
    Directory("/autodiscover", (*_WINDOWS, _BASIC), anonymous=True),
    Directory("/rpc", (_BASIC, *_WINDOWS)),
    Directory("/powershell", _WINDOWS),
    Directory("/api", ("Bearer",), anonymous=True),
)


def directory_of(path: str) -> Directory | None:
    """The virtual directory that a lower-case path lies in."""
    return next((d for d in DIRECTORIES if path == d.path or path.startswith(d.path + "/")), None)
