"""TLS objects without a layer of Python between the event loop and OpenSSL.

The loop asks a TLS object for ``read``, ``write`` and ``pending`` once, at the begin of the handshake, and calls what
it got with every message. The standard library's are three functions that hand on their arguments; here they are the
functions underneath. Nothing else differs.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

__all__ = ["DirectSSLObject"]


class DirectSSLObject(ssl.SSLObject):
    """For ``SSLContext.sslobject_class``."""

    _sslobj: Any  # the object of the extension module

    @property
    def read(self) -> Callable[..., bytes]:
        """``read(len, buffer)`` of :class:`ssl.SSLObject`."""
        found: Callable[..., bytes] = self._sslobj.read
        return found

    @property
    def write(self) -> Callable[[bytes], int]:  # type: ignore[override]
        """``write(data)`` of :class:`ssl.SSLObject`."""
        found: Callable[[bytes], int] = self._sslobj.write
        return found

    @property
    def pending(self) -> Callable[[], int]:
        """``pending()`` of :class:`ssl.SSLObject`."""
        found: Callable[[], int] = self._sslobj.pending
        return found
