"""What the walk tries at one place: every mechanism and every kind of credential, offered or not.

Nothing here believes an offer: a server that does not announce a mechanism is asked all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gambeson.model.access import DoorKind, Rung

from .walk import Attempt, Kind, Login, Path, Place, Role
from .walk_sasl import forged_token

PASSWORD_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
BEARER_MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
_COMMANDS = {DoorKind.IMAP: ("LOGIN command",), DoorKind.POP3: ("USER command", "APOP command")}
_PASSWORD = "the canary's password"  # noqa: S105 - the name of a kind

# Rules of the findings, and what entering means in a line.
RULES = {
    "password": "A password alone opens it",
    "password-without-tls": "A password opens it without TLS",
    "past-the-doors": "The mail server takes a password past the doors",
    "any-password": "Whatever password is given opens it",
    "anonymous": "Anybody may sign in as nobody (ANONYMOUS)",
    "external-without-certificate": "EXTERNAL opens it without any certificate",
    "token": "A made-up bearer token opens it",
    "mechanism": "A mechanism that proves nothing opens it",
    "no-login": "It serves without any sign-in",
    "starttls-injection": "It obeys what was sent before TLS began (STARTTLS injection)",
    "secret-without-tls": "A device secret opens it without TLS",
    "device-blocked": "A blocked device is still served",
    "device-lost": "A device reported lost is still served",
    "device-quarantined": "A device in quarantine is served",
    "credential-revoked": "A revoked device secret is still served",
    "credential-expired": "An expired device secret is still served",
    "door-not-allowed": "A device secret opens a door that it is not for",
    "made-up-secret": "A made-up device secret opens it",
    "another-account": "A device secret opens another account",
    "acts-as-another": "One account may act as another",
    "floor-not-held": "A device secret opens it, though its floor is higher",
    "open-relay": "It takes mail for others without a sign-in (open relay)",
    "foreign-sender": "It takes mail under another person's address",
    "foreign-header": "It takes mail whose From: names another person",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A device secret the canary has, and the rule that entering with it breaks."""

    credential: str
    rule: str
    secret: str = field(repr=False)
    name: str = ""  # another name to give than the canary's


@dataclass(frozen=True, slots=True)
class Canary:
    """With whom the walk knocks. ``password`` empty: nobody told it. ``secret`` opens every mail door; ``held`` are
    those that must not; ``elsewhere`` opens only the door it is keyed by. ``foreign`` is an address of the
    organisation that is not the canary's, ``outside`` one of nobody's for recipients."""

    address: str
    password: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    held: tuple[Held, ...] = ()
    elsewhere: tuple[tuple[DoorKind, str], ...] = field(default=(), repr=False)
    foreign: str = ""
    outside: str = "gambeson-walk@example.net"


def attempts(place: Place, canary: Canary, floor: Rung, nonce: str) -> tuple[Attempt, ...]:
    """Everything to try at ``place``, the control first. ``floor`` is the door's, ``nonce`` some made-up text."""
    return tuple(_Planner(place, canary, floor, nonce).all())


class _Planner:
    def __init__(self, place: Place, canary: Canary, floor: Rung, nonce: str) -> None:
        self._place, self._canary, self._floor, self._nonce = place, canary, floor, nonce
        self._ours = place.role is Role.DOOR
        self._sending = place.door is DoorKind.SUBMISSION

    def all(self) -> Iterator[Attempt]:
        canary = self._canary
        behind = Path.TLS if self._place.implicit else Path.STARTTLS
        if self._ours and canary.secret:
            yield self._secret(
                behind, "PLAIN", "its own device secret", "floor-not-held", canary.secret, True
            )
        for path in (behind,) if self._place.implicit else (Path.PLAIN, behind):
            yield from self._without_login(path)
            yield from self._passwords(path)
            yield from self._nothing(path)
        if not self._place.implicit:
            yield self._other(
                behind, Kind.INJECTION, "STARTTLS", "a command sent before TLS", "starttls-injection"
            )
        if self._ours:
            yield from self._devices(behind)

    # --- without proof

    def _without_login(self, path: Path) -> Iterator[Attempt]:
        if not self._sending:
            yield self._other(path, Kind.NO_LOGIN, "no sign-in", "nothing", "no-login")
            return
        canary = self._canary
        pairs = [(canary.address, canary.outside), ("", canary.outside)]
        if self._place.port != 25:  # there mail for one's own people is welcome
            pairs.append((canary.outside, canary.address))
        for sender, recipient in pairs:
            yield self._other(
                path, Kind.RELAY, "no sign-in", "nothing", "open-relay", Login(sender), foreign=recipient
            )

    def _nothing(self, path: Path) -> Iterator[Attempt]:
        name = self._canary.address
        yield self._sign_in(path, "ANONYMOUS", "nothing", "anonymous", Login(name))
        for authzid in (name, ""):
            yield self._sign_in(
                path,
                "EXTERNAL",
                "no certificate",
                "external-without-certificate",
                Login(name, authzid=authzid),
            )
        if path is Path.PLAIN:
            return
        for mechanism in BEARER_MECHANISMS:
            for what, token in (
                ("a made-up token", "gambeson-walk"),
                ("an unsigned token", forged_token(name)),
            ):
                yield self._sign_in(path, mechanism, what, "token", Login(name, token))
        for mechanism in ("GSSAPI", "NTLM"):
            yield self._sign_in(path, mechanism, "a made-up ticket", "mechanism", Login(name))
        for what, guess in (("a wrong password", f"not-it-{self._nonce}"), ("an empty password", "")):
            yield self._sign_in(path, "PLAIN", what, "any-password", Login(name, guess))

    def _passwords(self, path: Path) -> Iterator[Attempt]:
        name, password = self._canary.address, self._canary.password
        if not password:
            return
        rule = "password" if self._ours else "past-the-doors"
        if path is Path.PLAIN:
            rule = "password-without-tls"
        commands = _COMMANDS.get(self._place.door, ())
        for mechanism in (*commands, *PASSWORD_MECHANISMS):
            yield self._sign_in(path, mechanism, _PASSWORD, rule, Login(name, password), Rung.KNOWLEDGE)
        if path is not Path.PLAIN and self._canary.foreign:
            login = Login(name, password, self._canary.foreign)
            yield self._sign_in(path, "PLAIN", f"{_PASSWORD} for another name", "acts-as-another", login)

    # --- with devices of the canary's

    def _devices(self, path: Path) -> Iterator[Attempt]:
        canary, place = self._canary, self._place
        command = _COMMANDS.get(place.door, ())[:1]
        ways = (*command, "PLAIN", "LOGIN")
        if canary.secret and not place.implicit:
            for way in (*command, "PLAIN"):
                yield self._secret(
                    Path.PLAIN, way, "its own device secret, without TLS", "secret-without-tls", canary.secret
                )
        held = list(canary.held)
        other = next((secret for door, secret in canary.elsewhere if door is not place.door), "")
        if other:
            held.append(Held("a device secret for another door", "door-not-allowed", other))
        for each in held:
            for way in ways:
                yield self._secret(path, way, each.credential, each.rule, each.secret, name=each.name)
        if canary.secret and canary.foreign:
            login = Login(canary.address, canary.secret, canary.foreign)
            yield self._sign_in(path, "PLAIN", "its device secret for another name", "acts-as-another", login)
            if self._sending:
                for kind, rule in (
                    (Kind.FORGED_ENVELOPE, "foreign-sender"),
                    (Kind.FORGED_HEADER, "foreign-header"),
                ):
                    login = Login(canary.address, canary.secret)
                    yield self._other(
                        path, kind, "PLAIN", "its own device secret", rule, login, foreign=canary.foreign
                    )

    # --- one attempt

    def _secret(
        self,
        path: Path,
        way: str,
        credential: str,
        rule: str,
        secret: str,
        control: bool = False,
        name: str = "",
    ) -> Attempt:
        login = Login(name or self._canary.address, secret)
        rung = Rung.DEVICE_SECRET if control else Rung.NOTHING
        right = control and self._floor <= Rung.DEVICE_SECRET
        return self._sign_in(path, way, credential, rule, login, rung, right)

    def _sign_in(
        self,
        path: Path,
        mechanism: str,
        credential: str,
        rule: str,
        login: Login,
        rung: Rung = Rung.NOTHING,
        control: bool = False,
    ) -> Attempt:
        return self._made(path, Kind.SIGN_IN, mechanism, credential, rule, login, rung, control)

    def _other(
        self,
        path: Path,
        kind: Kind,
        mechanism: str,
        credential: str,
        rule: str,
        login: Login | None = None,
        foreign: str = "",
    ) -> Attempt:
        login = login if login is not None else Login(self._canary.address)
        return self._made(path, kind, mechanism, credential, rule, login, Rung.NOTHING, False, foreign)

    def _made(
        self,
        path: Path,
        kind: Kind,
        mechanism: str,
        credential: str,
        rule: str,
        login: Login,
        rung: Rung,
        control: bool,
        foreign: str = "",
    ) -> Attempt:
        return Attempt(
            place=self._place,
            path=path,
            kind=kind,
            mechanism=mechanism,
            credential=credential,
            login=login,
            rung=rung,
            floor=self._floor,
            rule=f"guard.walk.{rule}",
            title=RULES[rule],
            control=control,
            nonce=self._nonce,
            mailbox=self._canary.address,
            foreign=foreign or self._canary.foreign,
        )
