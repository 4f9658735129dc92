"""A spray of 10,000 addresses on 5,000 accounts for a day, in made-up time, against the real functions.

The organisation is in observe mode, the worst case: passwords pass on to a directory that locks an account
after ten misses. People on known devices sign in through it all, people at home with a password too.
"""

from __future__ import annotations

from hashlib import blake2b

from gambeson.guard.core.decide import decide
from gambeson.guard.core.directory_budget import DirectoryBudget
from gambeson.guard.core.identify import identify, presented
from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.core.throttle import Throttle
from gambeson.guard.data import default_policy_text
from gambeson.model import device_secret
from gambeson.model.access import MAIL_DOORS, AccessRequest, DoorKind, Mechanism, RawLogin
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot, SnapshotIndex

ACCOUNTS, ADDRESSES, START, KEY = 5000, 10_000, 1_800_000_000.0, bytes(32)
THRESHOLD, WINDOW = 10, 1800.0
OBSERVE = '[[mode]]\ndoor = "imap"\nmode = "observe"\nuntil = 2030-01-01\n'


class Directory:
    """Active Directory's count: set back by a right password, or by a window without a wrong one."""

    def __init__(self):
        self.bad, self.last, self.locked, self.guesses = {}, {}, set(), {}

    def password(self, account, right, now):
        if now - self.last.get(account, -1e18) >= WINDOW or right:
            self.bad[account] = 0
        if not right:
            self.bad[account] = self.bad.get(account, 0) + 1
            self.last[account] = now
            self.guesses[account] = self.guesses.get(account, 0) + 1
            if self.bad[account] >= THRESHOLD:
                self.locked.add(account)
        return right and account not in self.locked


class Town:
    def __init__(self):
        self.secrets = [
            device_secret.make(blake2b(b"%d" % i, digest_size=23).digest()) for i in range(ACCOUNTS)
        ]
        own = "o"
        self.index = SnapshotIndex(
            Snapshot(
                1,
                START,
                (Organisation(own, "Town", ("town.example",), "https://login.town.example"),),
                tuple(Account(f"a{i}", own, self.name(i)) for i in range(ACCOUNTS)),
                tuple(Device(f"d{i}", own, f"a{i}", "phone", doors=MAIL_DOORS) for i in range(ACCOUNTS)),
                tuple(
                    Credential(
                        f"c{i}",
                        own,
                        f"d{i}",
                        CredentialKind.DEVICE_SECRET,
                        s.public_id,
                        device_secret.verifier(s, KEY),
                    )
                    for i, s in enumerate(self.secrets)
                ),
                policies=(parse_policy(OBSERVE + default_policy_text(), own),),
            )
        )
        self.throttle = Throttle()
        self.throttle.on_snapshot(self.index, START)
        self.budget = DirectoryBudget(THRESHOLD, WINDOW)
        self.directory = Directory()

    @staticmethod
    def name(i):
        return f"user{i}@town.example"

    def login(self, source, name, password, right, now):
        """As a door does it. True where the client is served."""
        raw = RawLogin(Mechanism.PLAIN, name, password)
        who = identify(raw, "", self.index, KEY, now)
        shown, proven = presented(raw), bool(who.account)
        known = proven or self.throttle.is_known_source(source, who.claimed, now)
        closed = self.throttle.check(source, who.claimed, shown, proven, now)
        request = AccessRequest(DoorKind.IMAP, who, source, throttled=closed)
        decision = decide(request, self.index, now, max_age=float("inf"))
        served = decision.passes
        if served and decision.as_is:
            account = self.index.account_by_address.get(who.claimed)
            ticket = self.budget.ask(account.id, known, now) if account else None
            served = ticket is not None and self.directory.password(account.id, right, now)
            if ticket is not None:
                self.budget.answered(ticket, served, now)
        tell = self.throttle.succeeded if served else self.throttle.failed
        tell(source, who.claimed, shown, proven, now)
        return served


def test_a_spray_locks_nobody_out():
    town = Town()
    addresses = [f"{a}.{b}.{c}.7" for a in (45, 91) for b in range(50) for c in range(100)]
    assert len(addresses) == ADDRESSES
    for i in range(0, ACCOUNTS, 10):  # yesterday everybody in this sample was at home
        assert town.login(f"198.18.{i % 250}.3", town.name(i), town.secrets[i].text, True, START - 3600)
    refused_device = refused_home = guesses = 0
    tries, served_guess = 0, 0
    for hour in range(24):
        now = START + hour * 3600
        for j in range(ADDRESSES):  # every address tries one account an hour, and a name nobody has
            target = (j * 7919 + hour * 104_729) % ACCOUNTS
            if j % 25 == 0:
                served_guess += town.login(addresses[j], f"ghost{j}@town.example", "Summer2026", False, now)
            served_guess += town.login(addresses[j], town.name(target), "Summer2026", False, now + j * 0.3)
            tries += 1
        favourite = hour % 3  # and a botnet of all addresses goes for one account
        for j in range(0, ADDRESSES, 20):
            served_guess += town.login(
                addresses[j], town.name(favourite * 10), f"guess{j}", False, now + 3000
            )
        for i in range(hour, ACCOUNTS, 97):  # phones anywhere: at home, on the move, on an attacker's network
            for source in (f"198.18.{i % 250}.3", "100.64.9.9", addresses[i]):
                refused_device += not town.login(source, town.name(i), town.secrets[i].text, True, now + 3100)
        for i in range(0, ACCOUNTS, 10):  # at home with the right password
            if i % 40 == 10 * (hour % 4):
                refused_home += not town.login(f"198.18.{i % 250}.9", town.name(i), "right", True, now + 3200)
    guesses = town.directory.guesses
    assert tries == 240_000
    assert served_guess == 0
    assert refused_device == 0
    assert refused_home == 0
    assert town.directory.locked == set()
    assert max(town.directory.bad.values()) <= THRESHOLD - 2
    assert max(guesses.values()) <= 100
    assert sum(guesses.values()) > 10_000  # the attack did reach the directory: the test can fail
