"""From what a client typed to what it proved.

Rules of this file:

- A password proves nothing at a door and is never looked at: right, wrong and made-up names take the same
  path and give the same answer. Only a device's secret or certificate proves anything here.
- A device secret is found by its public id and compared in constant time; an unknown id is compared with a
  dummy, so that it takes the same time.
- Whoever presents a credential must name the account it belongs to (its address or an alias).
- A presented credential that fails, fails the attempt: ``failure`` says why, for the record only.
"""

from __future__ import annotations

from gambeson.model import device_secret
from gambeson.model.access import Identity, Mechanism, RawLogin, Rung
from gambeson.model.address import canonical
from gambeson.model.asset import Account, Credential, Device
from gambeson.model.snapshot import SnapshotIndex

KEY_LENGTH = 32

# Stable words for the record (Identity.failure).
NAME_MISSING = "name-missing"
NO_SINGLE_SIGN_ON = "single-sign-on-not-offered"
NO_CERTIFICATE = "no-certificate"
UNKNOWN = "credential-unknown"
WRONG_SECRET = "secret-wrong"  # noqa: S105 - a word for the record
MISTYPED_SECRET = "secret-mistyped"  # noqa: S105 - a word for the record
WRONG_ACCOUNT = "wrong-account"
REVOKED = "credential-revoked"
EXPIRED = "credential-expired"
DEVICE_EXPIRED = "device-expired"
INCONSISTENT = "credential-without-device"

_DUMMY = bytes(32)
_BEARER = (Mechanism.OAUTHBEARER, Mechanism.XOAUTH2)


def identify(
    raw: RawLogin,
    fingerprint: str,
    index: SnapshotIndex,
    key: bytes,
    now: float,
    default_domain: str = "",
) -> Identity:
    """What ``raw`` and the verified client certificate (hex SHA-256 ``fingerprint``, empty: none) prove.

    ``key`` is the keeper's 32-byte device-secret key, ``now`` seconds since 1970, ``default_domain``
    completes a bare local part (empty: :func:`only_domain`). Raises ValueError only on a key of another length.
    """
    if len(key) != KEY_LENGTH:
        raise ValueError(f"the device-secret key has {len(key)} octets; it must have {KEY_LENGTH}")
    default_domain = default_domain or only_domain(index)
    name, named_right = _claimed(raw, default_domain)
    if raw.mechanism in _BEARER:
        return _failed(name, index, NO_SINGLE_SIGN_ON)
    secret = None if raw.mechanism is Mechanism.EXTERNAL else device_secret.parse(raw.password)
    found: Credential | None = None
    opened = False
    if secret is not None:
        # Always one comparison, also for an unknown id and beside a certificate: the same time for all.
        found = index.secret.get(secret.public_id)
        opened = device_secret.matches(secret, key, found.verifier if found is not None else _DUMMY)
    if fingerprint:
        found, opened = index.certificate.get(fingerprint.lower()), True
        rung = Rung.DEVICE_KEY
    elif raw.mechanism is Mechanism.EXTERNAL:
        return _failed(name, index, NO_CERTIFICATE)
    elif secret is not None:
        rung = Rung.DEVICE_SECRET
    else:
        return _failed(name, index, _password_only(raw, name, named_right, index, default_domain))
    if found is None:
        return _failed(name, index, UNKNOWN)
    if not opened:
        return _failed(name, index, WRONG_SECRET)
    return _holder(raw, name, named_right, found, rung, index, now)


def presented(raw: RawLogin, fingerprint: str = "") -> str:
    """The public id of the credential that was presented (of a certificate its fingerprint), empty for
    none: what the throttle counts by. It proves nothing."""
    if fingerprint:
        return fingerprint.lower()
    secret = None if raw.mechanism is Mechanism.EXTERNAL else device_secret.parse(raw.password)
    return secret.public_id if secret is not None else ""


def alive(credential: Credential, device: Device, now: float) -> str:
    """Empty where the credential and its device are in force, else the failure's word.

    A revocation holds whatever the clock says: setting it back brings no credential back.
    """
    if credential.revoked_at:
        return REVOKED
    if credential.expires_at and not now < credential.expires_at:
        return EXPIRED
    if device.expires_at and not now < device.expires_at:
        return DEVICE_EXPIRED
    return ""


def only_domain(index: SnapshotIndex) -> str:
    """The domain of the one organisation that has only one: what a bare name means there. Else empty."""
    organisations = index.snapshot.organisations
    if len(organisations) != 1 or len(organisations[0].domains) != 1:
        return ""
    return organisations[0].domains[0]


def _claimed(raw: RawLogin, default_domain: str) -> tuple[str, bool]:
    """The canonical name the client gave (the authzid where EXTERNAL names nobody else), and whether
    every name it gave is an address. No name at all is right only for EXTERNAL."""
    given = [n for n in (raw.username, raw.authzid) if n]
    names = [_address(n, default_domain) for n in given]
    right = all(names) and (bool(names) or raw.mechanism is Mechanism.EXTERNAL)
    if raw.mechanism is not Mechanism.EXTERNAL and not raw.username:
        right = False
    return (names[0] if names else ""), right


def _address(name: str, default_domain: str) -> str:
    if "@" not in name and default_domain:
        name = f"{name}@{default_domain}"
    try:
        return canonical(name)
    except ValueError:
        return ""


def _holder(
    raw: RawLogin,
    name: str,
    named_right: bool,
    credential: Credential,
    rung: Rung,
    index: SnapshotIndex,
    now: float,
) -> Identity:
    """The identity behind an opened credential, if names, organisation and dates agree."""
    device = index.device.get(credential.device)
    account = index.account.get(device.account) if device is not None else None
    if device is None or account is None:
        return _failed(name, index, INCONSISTENT)
    if not credential.organisation == device.organisation == account.organisation:
        return _failed(name, index, INCONSISTENT)
    if not named_right or not _names(raw, name, account, index):
        return _failed(name, index, WRONG_ACCOUNT)
    dead = alive(credential, device, now)
    if dead:
        return _failed(name or account.address, index, dead)
    return Identity(
        claimed=name or account.address,
        organisation=account.organisation,
        account=account.id,
        device=device.id,
        credential=credential.id,
        rung=rung,
    )


def _password_only(
    raw: RawLogin, name: str, named_right: bool, index: SnapshotIndex, default_domain: str
) -> str:
    """Nothing is proven and nothing failed, unless the name is none or the authzid another's."""
    if not (name and named_right):
        return NAME_MISSING
    if device_secret.resembles(raw.password):
        return MISTYPED_SECRET  # in observe mode it would go to the mail server as a password
    other = _address(raw.authzid, default_domain) if raw.authzid else name
    if other != name:
        account = index.account_by_address.get(name)
        if account is None or index.account_by_address.get(other) is not account:
            return WRONG_ACCOUNT
    return ""


def _names(raw: RawLogin, name: str, account: Account, index: SnapshotIndex) -> bool:
    """True where every name given means ``account`` (RFC 4422 section 3.4.1: an authzid other than one's
    own would be acting for somebody else, which nobody may here)."""
    if name and index.account_by_address.get(name) is not account:
        return False
    if raw.authzid:
        domain = name.rpartition("@")[2] or account.address.rpartition("@")[2]
        return index.account_by_address.get(_address(raw.authzid, domain)) is account
    return True


def _failed(name: str, index: SnapshotIndex, failure: str) -> Identity:
    """Nothing is proven. The organisation is that of the *domain*, so that an unknown name in it is
    answered exactly as a known one."""
    organisation = index.organisation_by_domain.get(name.rpartition("@")[2])
    return Identity(
        claimed=name, organisation=organisation.id if organisation is not None else "", failure=failure
    )
