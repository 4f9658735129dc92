"""Postfix as the laboratory has it: one instance, each setting at an address of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gambeson.assess.core.doors import Protocol
from peers.pki import Certificate
from peers.postfix import Postfix

from .addresses import MX1, MX2, MX_BESIDE, MX_GENERIC, MX_NAMELESS, MX_STRANGE, SMTP, WEB

_STRONG = """
smtpd_banner = $myhostname ESMTP
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_ciphers = high
smtpd_tls_mandatory_ciphers = high
smtpd_tls_exclude_ciphers = kRSA, aNULL
tls_preempt_cipherlist = yes
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 0
smtpd_client_auth_rate_limit = 0
smtpd_error_sleep_time = 0
default_process_limit = 200
tls_low_cipherlist = ALL:@SECLEVEL=0
"""


class LabPostfix(Postfix):
    """``certificates`` has ``good`` and one for each setting that wants its own; ``auth`` the ports of SASL services:
    ``passwords``, ``tokens`` and ``challenge``."""

    def __init__(
        self,
        folder: Path,
        certificates: Mapping[str, Path],
        auth: Mapping[str, int],
        ports: Mapping[Protocol, int],
    ) -> None:
        self._certificates, self._auth, self._at = certificates, auth, ports
        good = certificates["good"]
        super().__init__(folder, Certificate(good, good, ""), auth["tokens"], 9, _STRONG)

    def _master(self) -> str:
        return super()._master() + "".join(self._doors())

    def _doors(self) -> list[str]:
        smtp, at = self._at[Protocol.SMTP], SMTP
        submission, submissions = self._at[Protocol.SUBMISSION], self._at[Protocol.SUBMISSIONS]
        strong = (MX1, MX2, MX_BESIDE, MX_GENERIC, MX_NAMELESS, MX_STRANGE)
        found = [self._door(address, smtp) for address in strong]
        signs_in, passwords = "smtpd_sasl_auth_enable=yes", self._sasl("passwords")
        low = ("smtpd_tls_ciphers=low", "smtpd_tls_mandatory_ciphers=low")
        old = ("smtpd_tls_protocols=>=TLSv1", "smtpd_tls_mandatory_protocols=>=TLSv1")
        rsa = self._chain("rsa")
        return [
            *found,
            self._door(WEB, submission, signs_in),
            self._door(at["no-starttls"], smtp, "smtpd_tls_security_level=none"),
            self._door(at["sign-in"], smtp, signs_in, passwords),
            self._door(at["old-tls"], smtp, *old, *low, "smtpd_tls_exclude_ciphers=kRSA"),
            self._door(at["static-rsa"], smtp, *rsa, "smtpd_tls_exclude_ciphers=aNULL"),
            self._door(
                at["told-version"], smtp, "{ smtpd_banner = $myhostname ESMTP Postfix $mail_version }"
            ),
            *(
                self._door(at[name], smtp, *self._chain(name))
                for name in ("expired", "self-signed", "other-name", "other-key")
            ),
            self._door(at["submission"], submission, signs_in, passwords),
            self._door(at["submissions"], submissions, signs_in, passwords, "smtpd_tls_wrappermode=yes"),
            self._door(at["submission-clear"], submission, signs_in, passwords, "smtpd_tls_auth_only=no"),
            self._door(
                at["challenge"], submission, signs_in, self._sasl("challenge"), "smtpd_tls_auth_only=no"
            ),
        ]

    def _sasl(self, kind: str) -> str:
        return f"smtpd_sasl_path=inet:127.0.0.1:{self._auth[kind]}"

    def _chain(self, name: str) -> tuple[str, str]:
        path = self._certificates[name]
        return f"smtpd_tls_cert_file={path}", f"smtpd_tls_key_file={path}"

    def _door(self, address: str, port: int, *settings: str) -> str:
        return f"{address}:{port} inet n - n - - smtpd\n" + "".join(
            f"  -o {setting}\n" for setting in settings
        )
