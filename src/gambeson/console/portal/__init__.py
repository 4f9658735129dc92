"""The portal: where people sign in with a browser, and look after their devices, sessions and second factors.

It is served by the console process behind the https door, on a host name of its own. It holds no database and no key:
every act is a message of :mod:`gambeson.process.portal_messages` to the worker or the keeper. In memory it has only
what may be lost: steps that are under way, codes of a minute, links of ten, and sealed boxes whose keys it has not.

``app`` makes the application, ``visit`` is a request and ``reply`` an answer as the pages see them, ``shell`` what
holds for every request (limits, origin, headers). One file a group of pages: ``sign_in``, ``second``, ``enrol``,
``factors``, ``enter``, ``things``, ``devices``. ``codes`` answers the doors.
"""

from .app import PortalApp, make_portal
from .backend import Backend, BackendGoneError, DeniedError
from .codes import Codes
from .settings import ApplicationHost, MailService, PortalSettings

__all__ = [
    "ApplicationHost",
    "Backend",
    "BackendGoneError",
    "Codes",
    "DeniedError",
    "MailService",
    "PortalApp",
    "PortalSettings",
    "make_portal",
]
