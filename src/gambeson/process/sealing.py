"""The keeper's master key, what is derived from it, and sealed boxes.

The master key lies outside the database: a 0600 file of 32 octets in hex, a systemd credential named
``gambeson-key`` ($CREDENTIALS_DIRECTORY), or a passphrase stretched by scrypt (RFC 7914; the salt lies
beside the sealed keys). Everything else is derived from it by HKDF-SHA256 (RFC 5869), one label for
each purpose. A sealed box is ``GS1``, the key's id (8 octets), a nonce (12) and AES-256-GCM of the
secret, with id and context as associated data: a box opens only where it was meant to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

KEY_LENGTH = 32
MAGIC = b"GS1"
ID_LENGTH, NONCE_LENGTH, TAG_LENGTH = 8, 12, 16
MAX_PLAIN = 65536
CREDENTIAL_NAME = "gambeson-key"
SCRYPT_COST = 2**16  # 64 MiB, about a quarter of a second: once per start


class SealingError(ValueError):
    """A key or a sealed box is wrong, unsafe or missing. One sentence that says what to do."""


class Sealer:
    """Seals and opens with one master key (32 octets). repr shows only the key's id."""

    def __init__(self, master: bytes, randomness: Callable[[int], bytes] = os.urandom) -> None:
        if len(master) != KEY_LENGTH:
            raise SealingError(f"the keeper's key has {len(master)} octets instead of {KEY_LENGTH}")
        self._master = master
        self._randomness = randomness
        self.key_id = self.derive("key id")[:ID_LENGTH]
        self._box = AESGCM(self.derive("sealed box"))

    def __repr__(self) -> str:
        return f"Sealer({self.key_id.hex()})"

    def derive(self, purpose: str) -> bytes:
        """32 octets for one purpose and no other (RFC 5869)."""
        info = b"gambeson v1 " + purpose.encode()
        return HKDF(SHA256(), KEY_LENGTH, None, info).derive(self._master)

    def seal(self, plain: bytes, context: str) -> bytes:
        """The sealed box. Raises SealingError over 64 KiB."""
        if len(plain) > MAX_PLAIN:
            raise SealingError(f"a secret of {len(plain)} octets is too long to seal")
        nonce = self._randomness(NONCE_LENGTH)
        return MAGIC + self.key_id + nonce + self._box.encrypt(nonce, plain, self._bound(context))

    def open(self, box: bytes, context: str) -> bytes:
        """What was sealed under this context. Raises SealingError: another key, another context or a
        changed box."""
        head = len(MAGIC) + ID_LENGTH
        if len(box) < head + NONCE_LENGTH + TAG_LENGTH or not box.startswith(MAGIC):
            raise SealingError("this is no sealed box")
        if box[len(MAGIC) : head] != self.key_id:
            raise SealingError(
                f"this was sealed with another key ({box[len(MAGIC) : head].hex()}, ours is {self.key_id.hex()});"
                " give the keeper the key it had before"
            )
        try:
            return self._box.decrypt(
                box[head : head + NONCE_LENGTH], box[head + NONCE_LENGTH :], self._bound(context)
            )
        except InvalidTag:
            raise SealingError("a sealed box was changed, or belongs somewhere else") from None

    def _bound(self, context: str) -> bytes:
        return MAGIC + self.key_id + context.encode()


def account_context(organisation: str, account: str) -> str:
    """The context of an account's sealed upstream password (ids, not names)."""
    return f"account-password/{organisation}/{account}"


def read_key_file(path: Path, make: bool = False, remedy: str = "bring it back from a backup") -> bytes:
    """The master key in a file; with ``make`` one that is missing is made first (0600, synced).

    Raises SealingError: missing, readable by others, somebody else's, or no key.
    """
    if make and not path.exists():
        _make_key_file(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise SealingError(f"the keeper's key {path} is missing: {remedy}") from None
    except OSError as error:
        raise SealingError(f"the keeper's key {path} cannot be read: {error.strerror}") from None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise SealingError(f"others may read the keeper's key {path}: run 'chmod 600 {path}'")
        if status.st_uid not in (0, os.geteuid()):
            raise SealingError(f"the keeper's key {path} belongs to somebody else: run 'chown root {path}'")
        return _parse(file.read(4096), str(path))


def _make_key_file(path: Path) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            file.write(os.urandom(KEY_LENGTH).hex().encode() + b"\n")
            file.flush()
            os.fsync(fd)
    except OSError as error:
        raise SealingError(f"the keeper's key {path} cannot be made: {error.strerror}") from None


def _parse(data: bytes, where: str) -> bytes:
    try:
        key = bytes.fromhex(data.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_LENGTH:
        raise SealingError(f"{where} holds no key (64 hexadecimal digits)")
    return key


def read_credential(folder: str) -> bytes | None:
    """The master key from systemd's credentials ($CREDENTIALS_DIRECTORY), None where there is none."""
    path = Path(folder) / CREDENTIAL_NAME
    if not folder or not path.exists():
        return None
    try:
        return _parse(path.read_bytes()[:4096], f"the systemd credential {CREDENTIAL_NAME}")
    except OSError as error:
        raise SealingError(f"the systemd credential {CREDENTIAL_NAME}: {error.strerror}") from None


def stretch(passphrase: str, salt: bytes) -> bytes:
    """The master key of a passphrase. ``salt`` is at least 16 octets, stored in the clear."""
    if len(passphrase) < 12:
        raise SealingError("the keeper's passphrase needs at least 12 characters")
    if len(salt) < 16:
        raise SealingError("the passphrase's salt is damaged")
    return Scrypt(salt, KEY_LENGTH, SCRYPT_COST, 8, 1).derive(passphrase.encode())
