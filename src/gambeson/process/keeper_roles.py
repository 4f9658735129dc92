"""Who may ask the keeper what, by the role of the channel that it comes in on."""

from __future__ import annotations

from collections.abc import Mapping

from . import messages as m
from .portal_messages import CodeVerifierAsk, SessionTokenAsk, TotpAsk

ADMIN: frozenset[type[m.Message]] = frozenset(
    (
        m.SecretVerifierAsk,
        m.SealAsk,
        m.SignHeadAsk,
        m.HashPasswordAsk,
        m.CheckPasswordAsk,
        m.PublicKeysAsk,
        m.CertificateAsk,
        m.RevocationListAsk,
    )
)
# The console faces browsers; what it gets of these is narrowed once more in keeper_portal.
PORTAL: frozenset[type[m.Message]] = frozenset(
    (
        m.CheckPasswordAsk,
        m.SecretVerifierAsk,
        m.SealAsk,
        m.CertificateAsk,
        SessionTokenAsk,
        TotpAsk,
        CodeVerifierAsk,
    )
)
ALLOWED: Mapping[str, frozenset[type[m.Message]]] = {
    "doors": frozenset((m.KeeperHello, m.CredentialAsk, m.PasswordAsk)),
    "worker": frozenset((m.SignHeadAsk, m.PublicKeysAsk)),
    "console": PORTAL,
    "command": ADMIN | {CodeVerifierAsk},
}
