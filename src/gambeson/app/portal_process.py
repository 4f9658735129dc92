"""The portal's application: made from parameters before the drop, opened on the channels after it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from gambeson.console.portal.app import PortalApp, make_portal
from gambeson.console.portal.backend import Backend, BackendGoneError
from gambeson.console.portal.settings import PortalSettings
from gambeson.process.channel import Channel
from gambeson.process.child import Peer
from gambeson.process.family import DOORS
from gambeson.process.messages import Message, Refused
from gambeson.process.portal_messages import DoorPortalAsk
from gambeson.process.unix_http import UnixHttpServer

from .portal_backend import open_portal_directory


class _Later:
    """A backend that is there once the channels are: the application is made before."""

    def __init__(self) -> None:
        self.real: Backend | None = None

    def __getattr__(self, name: str) -> Any:
        if self.real is None:
            raise BackendGoneError("the portal is only starting")
        return getattr(self.real, name)


class PortalProcess:
    """``parameters`` are what :meth:`gambeson.app.plan.Planner` gives. Raises OSError, OpenError, ValueError."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        settings = _signing(msgspec.convert(parameters["settings"], PortalSettings), parameters)
        self.directory = open_portal_directory(parameters["directory"])
        self._backend = _Later()
        self._app: PortalApp = make_portal(self._backend, settings)
        self._server = UnixHttpServer(self._app, parameters["uids"])
        self._doors: dict[str, Channel] = {}

    def open(self, backend: Backend) -> None:
        """From now on it can ask."""
        self._backend.real = backend

    def add_peer(self, peer: Peer) -> None:
        """A door may ask what a browser's code is worth."""
        if peer.role == DOORS and peer.name not in self._doors:
            self._doors[peer.name] = Channel(
                peer.sock, DoorPortalAsk, self._asked, name=peer.name, take_fds=False
            )

    def remove_peer(self, name: str) -> None:
        """That door is gone for good."""
        channel = self._doors.pop(name, None)
        if channel is not None:
            channel.close()

    async def serve(self, sock: socket.socket) -> None:
        """Until ``stop``."""
        await self._server.serve(sock)

    def stop(self) -> None:
        """End ``serve``."""
        self._server.stop()

    async def _asked(self, message: DoorPortalAsk, _fds: tuple[int, ...]) -> Message:
        try:
            return await self._app.answer(message)
        except BackendGoneError as error:
            return Refused(reason="later", sentence=str(error)[:500])


def _signing(settings: PortalSettings, parameters: Mapping[str, Any]) -> PortalSettings:
    """With the certificate that signs profiles, and the key of known browsers."""
    return replace(
        settings,
        signing_certificate=Path(parameters["certificate"]).read_bytes(),
        signing_key=Path(parameters["key"]).read_bytes(),
        known_key=bytes.fromhex(parameters["known_key"]),
    )
