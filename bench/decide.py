"""decide() alone: p50 and p99 in microseconds over a snapshot of 10,000 accounts.

Run: ``python bench/decide.py [accounts] [rounds]``. Each call is timed by itself (the clock's own cost, about
0.1 microseconds, is included). Reached must be p50 <= 20 and p99 <= 100.
"""

from __future__ import annotations

import gc
import sys
import time

from gambeson.guard.core.decide import decide
from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.data import default_policy_text
from gambeson.model.access import MAIL_DOORS, AccessRequest, DoorKind, Identity, Rung
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot, SnapshotIndex

EXTRA = """
[[network]]
name = "office"
cidrs = ["192.0.2.0/24", "2001:db8:1::/48"]
[[network]]
name = "branch"
cidrs = ["198.51.100.0/24"]
floors = { imap = "device-key" }
[[exception]]
name = "scanner"
door = "submission"
rung = "knowledge"
owner = "facility"
reason = "a scanner of 2009"
until = 2099-01-01
accounts = ["user7@example.org"]
networks = ["office"]
[[mode]]
door = "imap"
mode = "observe"
until = 2099-01-01
group = "sales"
[[rule]]
name = "not-at-night"
opinion = "deny"
groups = ["interns"]
hours = ["20:00", "06:00"]
[[rule]]
name = "no-risk"
opinion = "challenge"
risk_at_least = 80
"""


def snapshot(accounts: int, now: float) -> SnapshotIndex:
    """A made-up organisation with one device per account."""
    own = "o"
    people = [
        Account(
            f"a{i}",
            own,
            f"user{i}@example.org",
            (f"u{i}@example.org",),
            ("sales", "all") if i % 9 else ("all",),
        )
        for i in range(accounts)
    ]
    devices = [Device(f"d{i}", own, f"a{i}", "phone", doors=MAIL_DOORS) for i in range(accounts)]
    credentials = [
        Credential(f"c{i}", own, f"d{i}", CredentialKind.DEVICE_SECRET, f"{i:08d}") for i in range(accounts)
    ]
    policy = parse_policy(EXTRA + default_policy_text(), own)
    return SnapshotIndex(
        Snapshot(
            1,
            now,
            (Organisation(own, "Example", ("example.org",), "https://login.example.org"),),
            tuple(people),
            tuple(devices),
            tuple(credentials),
            policies=(policy,),
        )
    )


def main() -> int:
    """Measure and print; 1 where the goal is missed."""
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    now = 1_800_000_000.0
    index = snapshot(accounts, now)
    requests = []
    for i in range(rounds):
        who = i * 7919 % accounts
        source = (
            f"203.{i % 250}.{i // 250 % 250}.9" if i % 3 else f"2001:db8:{i % 65536:x}::{i // 7 % 65536:x}"
        )
        identity = Identity(f"user{who}@example.org", "o")
        if i % 4:
            identity = Identity(identity.claimed, "o", f"a{who}", f"d{who}", f"c{who}", Rung.DEVICE_SECRET)
        requests.append(AccessRequest(DoorKind.IMAP if i % 2 else DoorKind.SUBMISSION, identity, source))
    decide(requests[0], index, now)  # compiles the policy, once per snapshot
    taken = []
    gc.disable()
    for request in requests:
        begin = time.perf_counter_ns()
        decide(request, index, now)
        taken.append(time.perf_counter_ns() - begin)
    taken.sort()
    p50, p99 = taken[len(taken) // 2] / 1000, taken[len(taken) * 99 // 100] / 1000
    print(f"decide: {accounts} accounts, {rounds} requests: p50 {p50:.1f} us, p99 {p99:.1f} us")
    return 0 if p50 <= 20 and p99 <= 100 else 1


if __name__ == "__main__":
    sys.exit(main())
