"""Facts for the tests of the checks of TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.facts import Facts, Host
from gambeson.assess.core.tls import Certificate, TlsFacts, TlsVersion, Trust, Weakness
from gambeson.assess.core.unknown import Cause, Unknown

SILENT = Unknown(Cause.TIMEOUT, "no answer to a hello in 8 s")
V = TlsVersion
NOW = 1_800_000_000.0
DAY = 86400.0
LEAF = Certificate(
    subject="CN=mail.example.org",
    issuer="CN=Authority",
    names=("mail.example.org",),
    not_before=NOW - 30 * DAY,
    not_after=NOW + 60 * DAY,
    key="EC",
    bits=256,
    signature_hash="sha256",
    sha256="ab" * 32,
    spki_sha256="cd" * 32,
)
MODERN = (
    (TlsVersion.SSL3, False),
    (TlsVersion.TLS1_0, False),
    (TlsVersion.TLS1_1, False),
    (TlsVersion.TLS1_2, True),
    (TlsVersion.TLS1_3, True),
)
CLEAN = TlsFacts(
    versions=MODERN,
    chosen="TLS_AES_256_GCM_SHA384",
    chain=(LEAF,),
    trust=Trust.TRUSTED,
    name_matches=True,
)


def door(tls: TlsFacts | None, protocol: Protocol = Protocol.IMAP, **more: object) -> DoorFacts:
    found = DoorFacts(
        "mail.example.org", "192.0.2.1", 143, protocol, PortState.OPEN, starttls=StartTls.OFFERED, tls=tls
    )
    return replace(found, **more)  # type: ignore[arg-type]


def facts(*doors: DoorFacts, roles: tuple[str, ...] = ("mx",)) -> Facts:
    host = Host("mail.example.org", roles, ("192.0.2.1",))
    return Facts("example.org", NOW, probed=True, hosts=(host,), doors=doors)


def codes(
    run: Callable[[Facts], Iterable[Outcome]], tls: TlsFacts, protocol: Protocol = Protocol.IMAP
) -> list[str]:
    return [outcome.code for outcome in run(facts(door(tls, protocol)))]


def taking(*versions: TlsVersion, unknown: tuple[TlsVersion, ...] = ()) -> TlsFacts:
    asked = [V.SSL3, V.TLS1_0, V.TLS1_1, V.TLS1_2, V.TLS1_3]
    if V.SSL2 in versions:
        asked.insert(0, V.SSL2)
    return replace(CLEAN, versions=tuple((v, SILENT if v in unknown else v in versions) for v in asked))


def weak(*families: Weakness, untried: tuple[Weakness, ...] = ()) -> TlsFacts:
    return replace(CLEAN, weak=families, untried=tuple((family, SILENT) for family in untried))


def untrusted(trust: Trust) -> TlsFacts:
    return replace(CLEAN, trust=trust, trust_detail="a reason")


def lasting(days: float, life: float = 90) -> TlsFacts:
    end = NOW + days * DAY
    return replace(CLEAN, chain=(replace(LEAF, not_before=end - life * DAY, not_after=end),))


def named(*names: str, common: bool = False, trust: Trust = Trust.TRUSTED) -> TlsFacts:
    leaf = replace(LEAF, names=names, from_common_name=common)
    return replace(CLEAN, chain=(leaf,), name_matches=False, trust=trust)


def keyed(
    key: str = "EC", bits: int = 256, signature_hash: str = "sha256", above: str = "sha256"
) -> TlsFacts:
    leaf = replace(LEAF, key=key, bits=bits, signature_hash=signature_hash)
    between = replace(LEAF, subject="CN=Authority", issuer="CN=Root", signature_hash=above)
    root = replace(LEAF, subject="CN=Root", issuer="CN=Root", signature_hash="sha1")
    return replace(CLEAN, chain=(leaf, between, root))
