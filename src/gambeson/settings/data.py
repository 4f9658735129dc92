"""The sections about data: mail for sending, the database, the keeper's key, ages, failed sign-ins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .declare import Problem, setting
from .kinds import SECRET, TEXT, WEB_ADDRESS, choice, whole
from .secret import SecretRef


class SenderCheck(StrEnum):
    """What of a message must carry an address of the account: nothing, the envelope, or also From:."""

    OFF = "off"
    ENVELOPE = "envelope"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class OrganisationDefaults:
    """What holds for every organisation that does not say otherwise."""

    enrolment_url: str = setting(
        "",
        WEB_ADDRESS,
        "Where a person registers a device; stands in every refusal.",
        "Empty: the refusal says to ask the administrator.",
        example='"https://login.example.org/device"',
    )


@dataclass(frozen=True, slots=True)
class Submission:
    """Sending mail."""

    sender_check: SenderCheck = setting(
        SenderCheck.BOTH,
        choice(SenderCheck),
        "Where a sender must be an address of the account.",
        "A stolen account cannot write in another's name.",
    )
    hourly_limit: int = setting(
        200,
        whole(0, 1000000),
        "Recipients per account and hour, over all its messages; 0: no limit.",
        "People stay below; a stolen account is slowed before the domain is listed.",
    )
    max_message_bytes: int = setting(
        52428800, whole(65536, 1 << 31), "The largest message.", "50 MiB, what large providers take."
    )


@dataclass(frozen=True, slots=True)
class Store:
    """The control database."""

    url: str = setting(
        "",
        TEXT,
        "A PostgreSQL address without its password, such as postgresql://gambeson@db.example.org/gambeson.",
        "Empty: SQLite in the data directory, enough for one machine.",
    )
    password: SecretRef | None = setting(None, SECRET, "Where the database's password is.", "Goes with url.")
    keep_upgrade_backups: int = setting(
        5,
        whole(1, 1000),
        "How many of the backups that upgrades take are kept in the data directory; older ones are removed.",
        "Upgrades that fail again and again do not fill the disk.",
    )

    def check(self) -> Iterator[Problem]:
        """The address is PostgreSQL's and holds no secret."""
        if not self.url:
            if self.password is not None:
                yield Problem("password", "is given without store.url; remove it")
            return
        if not re.match(r"postgresql(\+psycopg)?://", self.url):
            yield Problem("url", "must start with postgresql:// or be empty (then SQLite is used)")
        elif re.match(r"[^/]*//[^/@]*:[^/@]*@", self.url) or re.search(r"[?&]password=", self.url):
            yield Problem(
                "url",
                "holds a password, which does not belong here; move it to a file and name it in store.password",
            )


@dataclass(frozen=True, slots=True)
class Keeper:
    """The key that seals every secret. Without either setting it is the file keeper.key in the data directory."""

    key: SecretRef | None = setting(
        None,
        SECRET,
        "Where the key is: 32 octets, or their 64 hexadecimal digits.",
        "Empty: a file that only the keeper reads (0600), made at the first start.",
    )
    passphrase: SecretRef | None = setting(
        None,
        SECRET,
        "Where a passphrase is from which the key is derived.",
        "A key is stronger, a passphrase can be kept in a head.",
    )

    def check(self) -> Iterator[Problem]:
        """One of the two."""
        if self.key and self.passphrase:
            yield Problem("passphrase", "is given besides keeper.key; remove one of the two")


@dataclass(frozen=True, slots=True)
class SnapshotAge:
    """How old the doors' view of accounts and policy may be."""

    max_age_s: int = setting(
        3600, whole(60, 86400), "Older: nobody new is admitted.", "An outage of an hour is survived."
    )
    warn_age_s: int = setting(
        30, whole(20, 86400), "Older: a critical finding.", "Three missed beats of the worker."
    )

    def check(self) -> Iterator[Problem]:
        """The warning comes first."""
        if self.warn_age_s >= self.max_age_s:
            yield Problem("warn_age_s", f"must be less than snapshot.max_age_s ({self.max_age_s})")


@dataclass(frozen=True, slots=True)
class Throttle:
    """Failed sign-ins. Devices and addresses that an account is known by have their own count, so that nobody is
    locked out by strangers."""

    account_source_limit: int = setting(
        10,
        whole(1, 100),
        "Failures of one account from one unknown network (/24 or /64) in an hour.",
        "A person corrects a typo in three.",
    )
    source_limit: int = setting(
        60,
        whole(1, 100000),
        "Failures from one unknown network in an hour, whatever the account.",
        "An office on the day of a change.",
    )
    known_source_limit: int = setting(
        30,
        whole(1, 1000),
        "Failures of one account from one network it is known by, in an hour.",
        "Room for a program that goes on trying an old secret.",
    )
    credential_limit: int = setting(
        30, whole(1, 1000), "Failures of one device secret in an hour.", "It is seldom typed by hand."
    )
    unknown_daily_limit: int = setting(
        100,
        whole(1, 100),
        "Failures of one account from all unknown networks in 24 hours.",
        "NIST SP 800-63B allows at most 100.",
    )
