"""Apple configuration profiles: a mail account, ready to install (Apple, "Configuration Profile Reference").

``com.apple.eas.account`` for ActiveSync, ``com.apple.ews.account`` for a Mac, else ``com.apple.mail.managed`` for IMAP
and submission: one account, so that no mailbox shows twice. Where the device has a certificate
``com.apple.security.pkcs12``, which the ActiveSync account refers to. Signed as CMS (RFC 5652) with the
portal's own TLS key, which every phone knows to trust.
"""

from __future__ import annotations

import plistlib
import uuid
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from .links import Setup
from .settings import MailService, PortalSettings

KIND = "application/x-apple-aspen-config"
_SPACE = uuid.UUID("5a9b0a5e-6d0c-5d2b-9a55-0c7d5b6a3c11")  # a namespace of our own (RFC 9562 section 5.5)


class Signer:
    """Signs profiles. An RSA or elliptic curve key can, another cannot (``able`` false)."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        """PEM texts; empty: unsigned. Raises ValueError where they cannot be read."""
        self._chain = x509.load_pem_x509_certificates(certificate) if certificate else []
        loaded = load_pem_private_key(key, None) if key else None
        self._key = loaded if isinstance(loaded, RSAPrivateKey | EllipticCurvePrivateKey) else None

    @property
    def able(self) -> bool:
        """Whether profiles come out signed."""
        return bool(self._chain) and self._key is not None

    def sign(self, data: bytes) -> bytes:
        """DER of the signed data, or the data as it is."""
        if not self._chain or self._key is None:
            return data
        builder = PKCS7SignatureBuilder().set_data(data).add_signer(self._chain[0], self._key, SHA256())
        for authority in self._chain[1:]:
            builder = builder.add_certificate(authority)
        return builder.sign(Encoding.DER, [PKCS7Options.Binary])


def profile(settings: PortalSettings, setup: Setup) -> bytes:
    """The profile, unsigned (an XML property list)."""
    payloads: list[dict[str, Any]] = []
    identity = ""
    if setup.identity:
        item = _payload(setup, "com.apple.security.pkcs12", "identity")
        identity = item["PayloadUUID"]
        item |= {
            "PayloadContent": setup.identity,
            "Password": setup.identity_password,
            "PayloadCertificateFileName": "identity.p12",
        }
        payloads.append(item)
    services = {service.door: service for service in settings.mail if service.door in setup.doors}
    host = settings.certificate_host if identity else settings.eas_host
    if host and "eas" in setup.doors:
        payloads.append(_eas(setup, host, identity))
    elif host and "ews" in setup.doors:
        payloads.append(_ews(setup, host))
    elif "imap" in services and "submission" in services:
        payloads.append(_mail(setup, services["imap"], services["submission"]))
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"{_reversed(settings.rp_id)}.{setup.device}",
            "PayloadUUID": _uuid(setup, "profile"),
            "PayloadDisplayName": f"{settings.name}: {setup.address}",
            "PayloadDescription": setup.name,
            "PayloadOrganization": settings.name,
            "PayloadRemovalDisallowed": False,
            "PayloadContent": payloads,
        }
    )


def _mail(setup: Setup, imap: MailService, submission: MailService) -> dict[str, Any]:
    return _payload(setup, "com.apple.mail.managed", "mail") | {
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": setup.address,
        "EmailAddress": setup.address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": imap.host,
        "IncomingMailServerPortNumber": imap.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": setup.address,
        "IncomingPassword": setup.secret,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": submission.host,
        "OutgoingMailServerPortNumber": submission.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": setup.address,
        "OutgoingPasswordSameAsIncomingPassword": True,
        "PreventMove": False,
    }


def _eas(setup: Setup, host: str, identity: str) -> dict[str, Any]:
    item = _payload(setup, "com.apple.eas.account", "eas") | {
        "EmailAddress": setup.address,
        "Host": host,
        "SSL": True,
        "UserName": setup.address,
    }
    if identity:
        item["PayloadCertificateUUID"] = identity
    else:
        item["Password"] = setup.secret
    return item


def _ews(setup: Setup, host: str) -> dict[str, Any]:
    name, _, port = host.partition(":")
    return _payload(setup, "com.apple.ews.account", "ews") | {
        "EmailAddress": setup.address,
        "Host": name,
        "Port": int(port or 443),
        "Path": "/EWS/Exchange.asmx",
        "SSL": True,
        "UserName": setup.address,
        "Password": setup.secret,
    }


def _payload(setup: Setup, kind: str, part: str) -> dict[str, Any]:
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"gambeson.{setup.device}.{part}",
        "PayloadUUID": _uuid(setup, part),
        "PayloadDisplayName": setup.address,
    }


def _uuid(setup: Setup, part: str) -> str:
    """The same for the same device: a second install replaces the first."""
    return str(uuid.uuid5(_SPACE, f"{setup.device}/{part}")).upper()


def _reversed(host: str) -> str:
    return ".".join(reversed(host.split(".")))
