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
# The portal faces browsers; what it gets of these is narrowed once more in keeper_portal.
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
# The console acts for administrators: what registers and shows, but no audit head and no password is its to have.
CONSOLE: frozenset[type[m.Message]] = frozenset(
    (
        k.SecretVerifierAsk,
        k.HashPasswordAsk,
        k.PublicKeysAsk,
        k.CertificateAsk,
        k.RevocationListAsk,
        CodeVerifierAsk,
    )
)
ALLOWED: Mapping[str, frozenset[type[m.Message]]] = {
    "doors": frozenset((k.KeeperHello, k.CredentialAsk, k.PasswordAsk)),
    "worker": frozenset((k.SignHeadAsk, k.PublicKeysAsk)),
    "portal": PORTAL,
    "console": CONSOLE,
    "command": ADMIN | {CodeVerifierAsk},
}
