"""Staff: the people who look after mail at the console, and what each may do where.

A member of an organisation has an Account; who looks after organisations is Staff. One person may be both and has two
things then: what opens a mailbox never opens the console.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

EVERY = "*"  # in a grant: every organisation of the installation, those to come too


class Role(StrEnum):
    """What somebody is to an organisation."""

    OWNER = "owner"
    TECHNICIAN = "technician"
    AUDITOR = "auditor"
    RESPONDER = "responder"


class Verb(StrEnum):
    """What can be done at the console and over the API. A token names the verbs that it may."""

    READ = "read"  # see everything of an organisation but its audit log
    AUDIT = "audit"  # see, export and verify the audit log
    DEVICES = "devices"  # register, approve, block and revoke devices; end sessions
    PEOPLE = "people"  # accounts, invitations, help-desk codes, leavers
    DOORS = "doors"  # modes of the doors, the emergency bypass
    FINDINGS = "findings"  # acknowledge, assign, waive
    ACTIONS = "actions"  # plan, approve, run and undo
    POLICY = "policy"  # versions of the policy
    CONTAIN = "contain"  # shut somebody or something out: what takes access away, and nothing that gives it
    ORGANISATIONS = "organisations"  # make, rename and remove organisations, their domains
    STAFF = "staff"  # who may do what here, tokens of the API


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in one organisation (its id), or in :data:`EVERY`. ``until`` 0: no end; a responder's has one."""

    organisation: str
    role: Role
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who signs in at the console. ``address`` is where notices go (may be empty), ``language`` a tag such
    as ``de`` (empty: the browser's), ``zone`` a time zone of the IANA database (empty: UTC)."""

    id: str
    name: str
    address: str = ""
    enabled: bool = True
    created_at: float = 0.0
    language: str = ""
    zone: str = ""
    grants: tuple[Grant, ...] = ()
