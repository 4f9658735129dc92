"""The directory behind the doors: its settings on their way into a door process, and what is made of them there.

Everything that opens a file (the authorities, the password of ``bind_dn``) happens in :func:`open_directory`, before
the process gives up its rights. One door process asks it, because one budget of wrong passwords must count them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from gambeson.guard.core.directory_budget import DirectoryBudget
from gambeson.settings.declare import SettingsError
from gambeson.settings.ldap import Ldap
from gambeson.settings.secret import SecretRef

from .identity.ldap import DirectoryError, LdapDirectory, from_settings
from .identity.ldap_filter import FilterError
from .identity.source import PasswordSources


class DirectoryPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ``[ldap]`` section. ``password_kind`` is ``value`` where ``password_name`` is the password of ``bind_dn``
    itself (it came from the environment), else the two are a reference to it; empty for none."""

    settings: Ldap
    password_kind: str = ""
    password_name: str = ""

    def __repr__(self) -> str:
        return f"DirectoryPlan({self.settings.url!r})"


class OpenError(ValueError):
    """The directory's settings can't be used here. One sentence."""


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """A directory that may be asked, and how often."""

    directory: LdapDirectory = field(repr=False)
    budget: DirectoryBudget = field(repr=False)
    seconds: float  # for one password, waiting included

    def sources(
        self, record: Callable[[str], None], asking: Callable[[], None], clock: Callable[[], float]
    ) -> PasswordSources:
        """What the doors ask; ``record`` gets one sentence for each trouble, ``asking`` is called before a password is
        sent, ``clock`` is the budget's."""
        self.directory.tell(record)
        return PasswordSources(
            directory=self.directory, budget=self.budget, timeout=self.seconds, clock=clock, asking=asking
        )


def open_directory(plan: DirectoryPlan) -> OpenDirectory:
    """Read what has to be read. Raises OpenError."""
    ldap = plan.settings
    try:
        directory = LdapDirectory(from_settings(ldap, _password(plan)))
        budget = DirectoryBudget(ldap.lockout_threshold, float(ldap.lockout_window_s))
    except OSError as error:
        raise OpenError(f"ldap.ca: {ldap.ca} can't be read: {error.strerror or error}") from None
    except (DirectoryError, FilterError, SettingsError, ValueError) as error:
        raise OpenError(f"ldap: {error}") from None
    return OpenDirectory(directory, budget, min(20.0, 2.0 * ldap.timeout_s + 3.0))


def _password(plan: DirectoryPlan) -> bytes:
    if not plan.password_kind:
        return b""
    if plan.password_kind == "value":  # noqa: S105 - a kind of reference
        return plan.password_name.encode("utf-8", "surrogateescape")
    return SecretRef(plan.password_kind, plan.password_name).read()
