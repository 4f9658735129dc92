"""A backend in memory with the real meaning of every message: what the worker's desk and the keeper do, without
database and processes. Tests of the portal talk with it; nothing in it knows what a test wants to see."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b32encode
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gambeson.console.portal.backend import BackendGoneError
from gambeson.model.access import Rung
from gambeson.model.device_secret import parse
from gambeson.model.device_secret import verifier as device_verifier
from gambeson.model.session_token import SESSION_PREFIX, read
from gambeson.process import portal_messages as p
from gambeson.process.keeper_messages import SealAsk
from gambeson.process.messages import Done, Message, Octets, Published, Refused

IDLE, LONGEST, BINDING = 3600.0, 43200.0, 600.0


@dataclass
class Someone:
    address: str
    password: str
    account: str
    organisation: str = "org-1"
    enabled: bool = True
    handle: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    factors: list[p.Authenticator] = field(default_factory=list)
    devices: list[p.OwnDevice] = field(default_factory=list)
    sign_ins: list[p.SignInLine] = field(default_factory=list)
    binding: tuple[bytes, float] | None = None
    clouds: tuple[str, ...] = ()


@dataclass
class Row:
    row: p.SessionRow
    secret: bytes
    ended: str = ""


class MemoryBackend:
    """``clock`` is the world's. ``calls`` counts messages by kind, ``events`` are those told to the record."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.people: dict[str, Someone] = {}
        self.sessions: list[Row] = []
        self.events: list[p.PortalEvent] = []
        self.calls: list[str] = []
        self.guesses: Counter[str] = Counter()
        self.findings: list[str] = []
        self.published = 0
        self.missing: tuple[str, ...] = ()
        self.gone = False
        self.device_verifiers: dict[str, bytes] = {}
        self.session_key = Ed25519PrivateKey.generate()
        self._key = secrets.token_bytes(32)
        self._aead = AESGCM(secrets.token_bytes(32))

    # -- for tests to set up

    def add(self, address: str, password: str, **more: Any) -> Someone:
        someone = Someone(address, password, f"acc-{len(self.people) + 1}", **more)
        self.people[someone.account] = someone
        return someone

    def binding_code(self, someone: Someone, code: str = "7k2m-9qrs-4tvw") -> str:
        plain = code.replace("-", "")
        someone.binding = (self._code_verifier(plain, f"binding:{someone.account}"), self.clock() + BINDING)
        return code

    def live(self, someone: Someone) -> list[p.SessionRow]:
        return [s.row for s in self.sessions if s.row.account == someone.account and self._alive(s)]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    # -- Backend

    async def desk(self, message: Message) -> Message:
        self._asked(message)
        match message:
            case p.PersonAsk():
                return self._person(message)
            case p.PortalEvent():
                self.events.append(message)
                if message.guess:
                    self.guesses[message.account or message.claimed] += 1
                return Done()
            case p.SessionOpen():
                return self._open(message)
            case p.SessionFind():
                return self._find(message)
        account = getattr(message, "account", "") or self._account_of(getattr(message, "id", ""))
        someone = self.people.get(account)
        if someone is None:
            return Refused(reason="unknown")
        return self._own(someone, message)

    async def keeper(self, message: Message) -> Message:
        self._asked(message)
        match message:
            case p.SessionTokenAsk(claims=claims):
                said, now = read(claims), self.clock()
                someone = self.people.get(said.account)
                if abs(said.issued - now) > 60 or not now < said.expires or said.ends > now + LONGEST + 60:
                    return Refused(reason="not-now")
                if someone is None or not someone.enabled or said.address != someone.address:
                    return Refused(reason="another-account")
                return Octets(value=self.session_key.sign(SESSION_PREFIX + claims))
            case SealAsk(plain=plain, context=context) if context.startswith("totp:"):
                nonce = secrets.token_bytes(12)
                return Octets(value=nonce + self._aead.encrypt(nonce, plain, context.encode()))
            case p.TotpAsk():
                return self._totp(message)
            case p.CodeVerifierAsk(code=code, context=context) if context.startswith(
                ("recovery:", "binding:")
            ):
                return Octets(value=self._code_verifier(code, context))
        return Refused(reason="not-for-you")

    async def check_password(self, person: p.Person, password: str) -> bool:
        self.calls.append("check_password")
        if self.gone:
            raise BackendGoneError
        expected = self.people[person.account].password if person.known else secrets.token_hex(16)
        return hmac.compare_digest(expected.encode(), password.encode()) and person.known

    async def verifier(self, device_secret: str) -> bytes:
        secret = parse(device_secret)
        assert secret is not None
        return device_verifier(secret, self._key)

    async def certificate(self, account: str, device: str, name: str, address: str, password: str) -> bytes:
        assert any(d.id == device for d in self.people[account].devices)
        return b"PKCS12 " + device.encode()

    async def publish(self) -> None:
        self.published += 1

    # -- how it does it

    def _asked(self, message: Message) -> None:
        self.calls.append(type(message).__name__)
        if self.gone:
            raise BackendGoneError

    def _person(self, ask: p.PersonAsk) -> p.Person:
        for s in self.people.values():
            passkey = ask.passkey and any(f.public_id == ask.passkey for f in s.factors)
            if (
                passkey
                or (ask.address and s.address == ask.address)
                or (ask.account and s.account == ask.account)
            ):
                return p.Person(
                    known=True,
                    organisation=s.organisation,
                    organisation_name="Sample",
                    account=s.account,
                    address=s.address,
                    enabled=s.enabled,
                    user_handle=s.handle,
                    authenticators=tuple(s.factors),
                    clouds=s.clouds,
                    failures=self.guesses[s.account],
                )
        return p.Person(known=False, user_handle=secrets.token_bytes(32), failures=self.guesses[ask.address])

    def _alive(self, s: Row) -> bool:
        now = self.clock()
        return not s.ended and now < s.row.ends and now < s.row.last_seen + IDLE

    def _account_of(self, session: str) -> str:
        return next((s.row.account for s in self.sessions if s.row.id == session), "")

    def _open(self, m: p.SessionOpen) -> Message:
        someone = self.people[m.account]
        assert len(m.secret) == 32
        row = p.SessionRow(
            id=f"ses-{len(self.sessions) + 1}",
            account=m.account,
            organisation=someone.organisation,
            address=someone.address,
            rung=Rung.from_word(m.rung).word,
            at=m.at,
            last_seen=m.at,
            stepped_at=m.at,
            ends=m.at + LONGEST,
            source=m.source,
            agent=m.agent,
            how=m.how,
        )
        self.sessions.append(Row(row, m.secret))
        return row

    def _find(self, m: p.SessionFind) -> Message:
        for s in self.sessions:
            if self._alive(s) and ((m.secret and s.secret == m.secret) or (m.id and s.row.id == m.id)):
                s.row = msgspec.structs.replace(s.row, last_seen=m.at)
                return s.row
        return Refused(reason="gone")

    def _own(self, someone: Someone, m: Message) -> Message:
        match m:
            case p.SessionStep():
                s = next((s for s in self.sessions if s.row.id == m.id and self._alive(s)), None)
                if s is None:
                    return Refused(reason="gone")
                rung = max(Rung.from_word(s.row.rung), Rung.from_word(m.rung or s.row.rung)).word
                s.row = msgspec.structs.replace(s.row, stepped_at=m.at, rung=rung, how=m.how or s.row.how)
                s.secret = m.secret or s.secret
                return Done()
            case p.SessionEnd():
                for s in self.sessions:
                    mine = s.row.account == someone.account and not s.ended
                    if mine and (s.row.id == m.id if m.id else s.row.id != m.keep):
                        s.ended = m.reason
                return Done()
            case p.BindingCodeUse():
                bound = someone.binding
                if bound is None or not hmac.compare_digest(bound[0], m.verifier) or m.at >= bound[1]:
                    return Refused(reason="unknown")
                someone.binding = None
                return Done()
            case p.AddAuthenticator():
                return self._add(someone, m.authenticator)
            case p.UseAuthenticator():
                return self._use(someone, m)
            case p.RemoveAuthenticator():
                someone.factors = [f for f in someone.factors if f.id != m.id]
                return Done()
            case p.OwnThings():
                devices, sign_ins = tuple(someone.devices), tuple(someone.sign_ins)
                return p.Things(devices=devices, sessions=tuple(self.live(someone)), sign_ins=sign_ins)
            case p.DeviceAdd():
                device = p.OwnDevice(
                    id=f"dev-{len(someone.devices) + 1}",
                    name=m.name,
                    state="registered",
                    doors=m.doors,
                    created_at=m.at,
                )
                someone.devices.append(device)
                self.device_verifiers[m.public_id] = m.verifier
                return device
            case p.DeviceEnd():
                if all(d.id != m.device for d in someone.devices):
                    return Refused(reason="unknown")
                someone.devices = [d for d in someone.devices if d.id != m.device]
                if m.alarm:
                    self.findings.append(m.device)
                return Published(number=2, acknowledged=("doors-1",), missing=self.missing)
        return Refused(reason="not-for-you")

    def _add(self, someone: Someone, new: p.Authenticator) -> Message:
        if new.kind == "passkey":
            everyones = [f.public_id for s in self.people.values() for f in s.factors]
            if new.public_id in everyones:
                return Refused(reason="taken")
            someone.factors = [*someone.factors, new]
        else:
            someone.factors = [*(f for f in someone.factors if f.kind != new.kind), new]
        return Done()

    def _use(self, someone: Someone, m: p.UseAuthenticator) -> Message:
        found = next((f for f in someone.factors if f.id == m.id), None)
        if found is None:
            return Refused(reason="unknown")
        match found.kind:
            case "passkey":
                if (found.sign_count or m.sign_count) and m.sign_count <= found.sign_count:
                    return Refused(reason="used")
                new = msgspec.structs.replace(
                    found, sign_count=m.sign_count, backed_up=m.backed_up, last_used=m.at
                )
            case "totp":
                if m.last_step <= found.last_step:
                    return Refused(reason="used")
                new = msgspec.structs.replace(found, last_step=m.last_step, last_used=m.at)
            case _:
                if m.spent not in found.verifiers:
                    return Refused(reason="used")
                left = tuple(v for v in found.verifiers if v != m.spent)
                new = msgspec.structs.replace(found, verifiers=left, last_used=m.at)
        someone.factors = [new if f.id == m.id else f for f in someone.factors]
        return Done()

    def _code_verifier(self, code: str, context: str) -> bytes:
        plain = "".join(c for c in code.upper() if c not in " -")
        return hashlib.blake2b(f"{context}\0{plain}".encode(), key=self._key, digest_size=32).digest()

    def _totp(self, m: p.TotpAsk) -> Message:
        try:
            secret = self._aead.decrypt(m.sealed[:12], m.sealed[12:], m.context.encode())
        except InvalidTag:
            return Refused(reason="cannot")
        totp = pyotp.TOTP(_base32(secret))
        now = int(self.clock() // 30)
        for step in (now - 1, now, now + 1):
            if hmac.compare_digest(totp.at(step * 30), m.code) and step > m.last_step:
                return p.TotpStep(step=step)
        return Refused(reason="wrong")


def _base32(secret: bytes) -> str:
    return b32encode(secret).decode()
