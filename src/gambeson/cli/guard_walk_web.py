"""The web doors' part of ``gambeson guard walk``: which hosts and ways around there are, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from gambeson.app.installation import Installation
    from gambeson.guard.core.walk import Record
    from gambeson.guard.core.walk_http_maker import WebWalk
    from gambeson.guard.core.walk_http_plan import Plan
    from gambeson.guard.core.walk_plan import Canary
    from gambeson.guard.core.walk_shields import Measured
    from gambeson.guard.edge.walk.browser import SignedIn
    from gambeson.guard.edge.walk.http_places import WebListener
    from gambeson.guard.edge.walk.passkey import Passkey
    from gambeson.model.access import DoorKind, Rung
    from gambeson.model.asset import Account
    from gambeson.model.snapshot import SnapshotIndex

LAST_PLACE = 249  # of the addresses of its own that a walk comes from: far from those of its places


class WebPlaces:
    """Everything of the web that this walk goes to. Raises CommandError for a target that cannot be one."""

    def __init__(self, args: Namespace, place: Installation) -> None:
        from gambeson.guard.edge.walk import http_places

        from .common import CommandError

        self._place, self.missing, self._unobserved = place, list[str](), ""
        self._inside = args.origin == "inside"
        self._sites = tuple(place.sites())
        self._listener = http_places.of_ready(place.place.data) or self._configured()
        self._taken: set[str] = set()
        self._around = [(site, http_places.of_endpoint(site)) for site in self._sites]
        try:
            for text in args.target:
                found = http_places.of_target(text, args.ca)
                if found is not None:
                    self._around.append(found)
                    self._taken.add(text)
        except http_places.PlaceError as error:
            raise CommandError(str(error)) from None
        known = [where for _, where in self._around]
        self._found = list(http_places.of_scan(args.scan, known, args.ca))
        if not self._inside:
            self._from_outside()

    def takes(self, target: str) -> bool:
        """Whether this ``--target`` is one of the web."""
        return target in self._taken

    @property
    def outside(self) -> bool:
        """Whether another machine could reach anything of it."""
        return bool(self._listener or self._around or self._found)

    def plans(
        self,
        canary: Canary,
        index: SnapshotIndex,
        account: Account,
        nonce: str,
        passkey: Callable[[], Passkey],
    ) -> Sequence[Plan]:
        """What to try where. ``passkey`` makes the one with which the canary signs in at the portal."""
        from dataclasses import replace

        from gambeson.guard.core.explain import explain
        from gambeson.guard.core.walk_http_maker import WebWalk
        from gambeson.guard.core.walk_http_past import PastTheDoors, back_end_attempts
        from gambeson.guard.core.walk_http_plan import plans
        from gambeson.guard.core.web.shields import load_shields
        from gambeson.guard.edge.walk.http_places import allowed
        from gambeson.model.access import Rung

        from .shared import now

        def floor(door: DoorKind) -> Rung:
            return Rung.from_word(str(explain(index, now(), door, canary.address)["demanded"]))

        listener = self._listener
        floors: dict[DoorKind, Rung] = {}
        walk = WebWalk(
            canary,
            listener.host if listener else "",
            listener.port if listener else 443,
            nonce,
            now(),
            lambda door: floors.get(door) or floors.setdefault(door, floor(door)),
            self._sites if listener else (),
            listener.portal if listener else "",
            listener.ca if listener else "",
            account.id,
            account.organisation,
            load_shields().shields,
        )
        signed = self._signed_in(walk, passkey)
        self._unobserved = signed.reason
        walk = replace(walk, sessions=signed.sessions)
        made: list[Plan] = list(plans(walk))
        for site, where in self._around:
            severity = allowed(site, where, self._inside and site in self._sites)
            made.append((where, tuple(PastTheDoors(walk, site, where, severity).all())))
        made += [(where, tuple(back_end_attempts(walk, site, where))) for site, where in self._found]
        return made

    def _signed_in(self, walk: WebWalk, passkey: Callable[[], Passkey]) -> SignedIn:
        """The canary's sessions at the applications whose answers a shield changes."""
        import asyncio

        from gambeson.guard.edge.walk.browser import SignedIn, sign_in
        from gambeson.guard.edge.walk.tour import source_of
        from gambeson.store.errors import StoreError

        changed = {shield.product for shield in walk.shields if shield.page is not None}
        sites = [site for site in walk.sites if site.product in changed and site.hosts]
        if not sites:
            return SignedIn()
        if not walk.portal or not walk.canary.password:
            what = "there is no portal" if not walk.portal else "the canary's password is not known"
            return SignedIn(why={"": f"{what}, so nobody could sign in"})
        try:
            mine = passkey()
        except StoreError as error:
            return SignedIn(why={"": str(error)})
        source = source_of(walk.place(walk.portal), LAST_PLACE, walk.nonce)
        return asyncio.run(sign_in(walk, mine, sites, source))

    def keep(self, records: Sequence[Record]) -> Sequence[Measured]:
        """Remember what was measured of shields, and give it."""
        from gambeson.guard.core.walk_shields import measured
        from gambeson.guard.core.web.shields import load_shields
        from gambeson.guard.edge.walk.keeping import keep_shields

        found = measured(records, load_shields().shields, self._unobserved)
        try:
            if found:
                keep_shields(self._place.place.data, found)
        except OSError as error:
            self.missing.append(f"What was measured of shields could not be written down: {error.strerror}.")
        return found

    def _configured(self) -> WebListener | None:
        """The https listener of the settings, where nothing runs."""
        from gambeson.app.plan import configured_listens
        from gambeson.guard.edge.walk.http_places import WebListener
        from gambeson.guard.edge.walk.places import WILD

        for each in configured_listens(self._place.config):
            if each.name == "https" and self._sites:
                host = WILD.get(each.host, each.host)
                return WebListener(host, each.port, self._place.config.portal.host)
        return None

    def _from_outside(self) -> None:
        """Only what another machine could reach."""
        from gambeson.guard.core.walk import Place as At
        from gambeson.guard.core.walk import Role
        from gambeson.guard.edge.walk.connection import loopback
        from gambeson.guard.edge.walk.http_places import from_outside
        from gambeson.model.access import Listener

        listener = self._listener
        if listener is not None:
            here = At("https", Listener.HTTPS, Role.DOOR, listener.host, listener.port)
            if loopback(here):
                self._listener = None
                self.missing.append("Not tried from outside, as only this machine reaches it: https.")
        self._around = list(from_outside(self._around))
        self._found = list(from_outside(self._found))
