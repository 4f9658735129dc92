"""Who may ask the keeper what, by the role of the channel that it comes in on."""

from __future__ import annotations

from collections.abc import Mapping

from . import keeper_messages as k
from . import messages as m
from .portal_messages import CodeVerifierAsk, SessionTokenAsk, TotpAsk

ADMIN: frozenset[type[m.Message]] = frozenset(
    (
        k.SecretVerifierAsk,
        k.SealAsk,
        k.SignHeadAsk,
        k.HashPasswordAsk,
        k.CheckPasswordAsk,
        k.PublicKeysAsk,
        k.CertificateAsk,
        k.RevocationListAsk,
    )
)
# The console faces browsers; what it gets of these is narrowed once more in keeper_portal.
PORTAL: frozenset[type[m.Message]] = frozenset(
    (
        k.CheckPasswordAsk,
        k.SecretVerifierAsk,
        k.SealAsk,
        k.CertificateAsk,
        SessionTokenAsk,
        TotpAsk,
        CodeVerifierAsk,
    )
)
ALLOWED: Mapping[str, frozenset[type[m.Message]]] = {
    "doors": frozenset((k.KeeperHello, k.CredentialAsk, k.PasswordAsk)),
    "worker": frozenset((k.SignHeadAsk, k.PublicKeysAsk)),
    "console": PORTAL,
    "command": ADMIN | {CodeVerifierAsk},
}
