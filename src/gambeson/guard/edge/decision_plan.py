"""The decision API's settings on their way into a door process. The key is read while files can still be opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from gambeson.guard.data import decision_api_text
from gambeson.settings.declare import SettingsError
from gambeson.settings.secret import SecretRef

LEAST_KEY = 16  # characters: it is made by a machine, not remembered


class DecisionPlanError(ValueError):
    """The decision API can't be opened with these settings. One sentence."""


class DecisionPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``listeners`` are the names of its sockets; ``uid`` the user that may connect to the Unix socket among them (-1:
    there is none). ``key_kind`` is ``value`` where ``key_name`` is the key itself (it came from the environment), else
    the two are a reference to it."""

    listeners: tuple[str, ...]
    key_kind: str
    key_name: str
    uid: int = -1
    unbound_cookies: bool = False

    def __repr__(self) -> str:
        return f"DecisionPlan({self.listeners!r})"


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """``digest`` is the SHA-256 of the key: what is presented is hashed before it is compared, so that neither its
    length nor its beginning shows in the time."""

    listeners: tuple[str, ...]
    digest: bytes = field(repr=False)
    uid: int = -1
    unbound_cookies: bool = False
    document: bytes = field(default=b"{}", repr=False)  # the API's OpenAPI description


def open_decision_plan(plan: DecisionPlan) -> DecisionSettings:
    """Read the key. Raises DecisionPlanError."""
    try:
        if plan.key_kind == "value":
            key = plan.key_name.encode("utf-8", "surrogateescape")
        else:
            key = SecretRef(plan.key_kind, plan.key_name).read()
    except SettingsError as error:
        raise DecisionPlanError(f"decision_api.key: {error}") from None
    return DecisionSettings(
        plan.listeners, digest_of(key), plan.uid, plan.unbound_cookies, decision_api_text()
    )


def digest_of(key: bytes) -> bytes:
    """The digest of a key that is fit to be one. Raises DecisionPlanError."""
    if len(key) < LEAST_KEY or not key.isascii() or not key.decode("ascii").isprintable() or b" " in key:
        raise DecisionPlanError(
            f"decision_api.key must be at least {LEAST_KEY} printable ASCII characters without blanks; make one with: "
            "openssl rand -hex 32"
        )
    return sha256(key).digest()
