"""Who asks the API: the token of a request, and what it may.

Rules:

* A token is brought in ``Authorization`` and nowhere else (RFC 6750 section 2.1). A cookie is no token, so a page that
  a signed-in person opens can do nothing here.
* Whatever is wrong with a token, the answer is the same 401: none, broken, unknown, over, revoked, or of somebody who
  is shut out.
* A token may what it names, and of that only what the member of staff who answers for it may themselves at this moment.
  One that nobody at the console answers for was made by root on the machine.
* Who guesses is slowed down by network; a good token is let in from there all the same. It has 256 random bits, so this
  spares the log; and a stranger must not shut out the programs that come from the same network, such as this machine.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from gambeson.console.core import api_token
from gambeson.console.office import Access, World
from gambeson.model.staff import Grant, Role, Staff
from gambeson.store.tokens import USED_EVERY, ApiToken

from .limits import PER_MINUTE, Allowance, Failures
from .problems import REALM, ApiError

_NOBODY = bytes(32)
MAX_USED = 2_000
MAX_HEADER = 512


@dataclass(frozen=True, slots=True)
class Asker:
    """A request's token: its id, what it opens, and its secret, which seals the answers that are kept for it."""

    token: str
    access: Access
    secret: str = field(repr=False)


class Doorkeeper:
    """Looks tokens over. One for the process."""

    def __init__(self, world: World, per_minute: int = PER_MINUTE) -> None:
        self._world = world
        self._allowance, self._failures = Allowance(per_minute, 60.0), Failures()
        self._used: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, headers: Iterable[tuple[bytes, bytes]], source: str, now: float) -> Asker:
        """Who asks. Raises ApiError: 401, or 429 where somebody asks too often."""
        given = [value for name, value in headers if name == b"authorization"]
        brought = self._read(given)
        if brought is None:
            raise self._refused(source, now, given=bool(given))
        token = self._world.store.tokens.find(brought.public_id)
        same = hmac.compare_digest(token.verifier if token is not None else _NOBODY, brought.verifier)
        person = self._person(token) if token is not None and same and token.alive(now) else None
        if token is None or person is None:
            raise self._refused(source, now, given=True)
        wait = self._allowance.take(token.id, now)
        if wait:
            raise _too_often(wait)
        self._note(token, now)
        return Asker(
            token.id,
            Access(
                staff=person,
                by=f"{person.name} (token {token.name})" if token.staff else f"token {token.name}",
                source=source,
                organisations=token.organisations,
                only=token.verbs,
                token=token.id,
            ),
            brought.text,
        )

    def _read(self, given: list[bytes]) -> api_token.ApiSecret | None:
        """RFC 9110 section 11.1: the scheme's name is read without regard to case."""
        if len(given) != 1 or len(given[0]) > MAX_HEADER:
            return None
        scheme, _, text = given[0].decode("latin-1").partition(" ")
        return api_token.read(text.strip(" ")) if scheme.lower() == "bearer" else None

    def _person(self, token: ApiToken) -> Staff | None:
        """Who answers for a token; None where nobody does any more."""
        if not token.staff:
            grants = tuple(Grant(whose, Role.OWNER) for whose in token.organisations)
            return Staff("", token.name, grants=grants)
        found = self._world.staff().get(token.staff)
        return found if found is not None and found.enabled else None

    def _note(self, token: ApiToken, now: float) -> None:
        """It was good; the store is told now and then."""
        with self._lock:
            if self._used.get(token.id, 0.0) > now - USED_EVERY:
                return
            self._used[token.id] = now
            self._used.move_to_end(token.id)
            while len(self._used) > MAX_USED:
                self._used.popitem(last=False)
        self._world.store.tokens.touch(token.id, now)

    def _refused(self, source: str, now: float, *, given: bool) -> ApiError:
        wait = self._failures.wait(source, now)
        if wait:
            return _too_often(wait)
        challenge = f'Bearer realm="{REALM}"'
        if not given:
            detail = "Bring a token: Authorization: Bearer gamt_..."
            return ApiError(401, "no-token", detail, headers={"www-authenticate": challenge})
        self._failures.failed(source, now)
        challenge += ', error="invalid_token"'
        detail = "This token opens nothing: it is unknown, over or revoked. Make a new one at the console."
        return ApiError(401, "bad-token", detail, headers={"www-authenticate": challenge})


def _too_often(wait: int) -> ApiError:
    detail = f"Too many requests: wait {wait} seconds."
    return ApiError(429, "too-often", detail, headers={"retry-after": str(wait)})
