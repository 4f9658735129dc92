"""pymap's Maildir back-end, made faithful to the octet.

pymap hands messages through Python's e-mail parser, which rewrites line ends and folding, and copies a message without
its content. Here a message is the octets that came in: CRLF on disk as on the wire, nothing parsed on the way.
"""

from __future__ import annotations

import contextlib
import time
from mailbox import MaildirMessage
from typing import TYPE_CHECKING, Any

from pymap.backend.maildir.layout import MaildirLayout
from pymap.backend.maildir.mailbox import MailboxData, MailboxSet, Message
from pymap.backend.maildir.mailbox import Maildir as PymapMaildir
from pymap.backend.maildir.uidlist import Record, UidList
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import ObjectId

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class RawMessage(MaildirMessage):
    """A message as octets, with Maildir's flags and dates beside it."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.raw = raw

    def __bytes__(self) -> bytes:
        return self.raw


class RawMaildir(PymapMaildir):
    """A Maildir whose files hold exactly the octets that were added."""

    def get_message(self, key: str) -> RawMessage:
        """The message with its octets. Raises KeyError, FileNotFoundError."""
        metadata = self.get_message_metadata(key)
        message = RawMessage(self.get_bytes(key))
        message.set_subdir("new" if metadata.get_subdir() == "new" else "cur")
        message.set_info(metadata.get_info())
        message.set_date(metadata.get_date())
        return message

    def get_bytes(self, key: str) -> bytes:
        """The octets of a message."""
        with open(self._join(self._lookup(key)), "rb") as file:
            return file.read()

    def _dump_message(self, message: Any, target: SupportsWrite[bytes], mangle_from_: bool = False) -> None:
        target.write(message if isinstance(message, bytes) else bytes(message))


class RawMailbox(MailboxData):
    """One folder. Appending and copying keep every octet."""

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> Message:
        """Add one message from APPEND."""
        message = RawMessage(bytes(append_msg.literal))
        message.set_flags(self.maildir_flags.to_maildir(append_msg.flag_set))
        message.set_subdir("new" if recent else "cur")
        message.set_date(append_msg.when.timestamp() if append_msg.when else time.time())
        fields = {"E": str(ObjectId.random_email_id()), "T": str(ObjectId.random_thread_id())}
        key, uid = await self._add(message, fields)
        email, thread = (ObjectId.maybe(fields[f]) for f in ("E", "T"))
        return Message.from_maildir(uid, message, self._maildir, key, email, thread, self.maildir_flags)

    async def copy(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
        """Copy one message, content and all; None when it is gone."""
        assert isinstance(destination, RawMailbox)
        try:
            record, _ = await self._get_maildir_msg(uid)
            async with self.messages_lock.read_lock():
                message = self._maildir.get_message(record.key)
        except (KeyError, FileNotFoundError):
            return None
        message.set_subdir("new" if recent else "cur")
        _, new = await destination._add(message, dict(record.fields))
        return new

    async def _add(self, message: MaildirMessage, fields: dict[str, str]) -> tuple[str, int]:
        async with self.messages_lock.write_lock():
            key = self._maildir.add(message)
        async with UidList.with_write(self._path) as uids:
            record = Record(uids.next_uid, fields, f"{key}:{message.get_info()}")
            uids.next_uid += 1
            uids.set(record)
        return key, record.uid


class RawMailboxSet(MailboxSet):
    """All folders of one account."""

    def __init__(self, path: str) -> None:
        layout: MaildirLayout[Any] = MaildirLayout.get(path, "++", RawMaildir)
        super().__init__(RawMaildir(path, create=True), layout)

    async def get_mailbox(self, name: str) -> MailboxData:
        """The folder ``name``, freshly read. Raises KeyError."""
        if name not in self._cache:
            made = await super().get_mailbox(name)
            self._cache[name] = RawMailbox(made.mailbox_id, made._maildir, made._path)
        return await super().get_mailbox(name)

    async def add_mailbox(self, name: str) -> ObjectId:
        """Make a folder, and those above it (RFC 9051 section 6.3.4). Raises ValueError where there is one; pymap
        raises KeyError there, which its session does not expect."""
        above = name.split(self.delimiter)[:-1]
        for depth in range(1, len(above) + 1):
            with contextlib.suppress(KeyError):
                await super().add_mailbox(self.delimiter.join(above[:depth]))
        try:
            return await super().add_mailbox(name)
        except KeyError:
            raise ValueError(name) from None

    async def rename_mailbox(self, before: str, after: str) -> None:
        """Rename a folder. Raises KeyError where there is none, ValueError where the new name is taken."""
        try:
            await super().rename_mailbox(before, after)
        except FileNotFoundError:
            raise KeyError(before) from None
        except FileExistsError:
            raise ValueError(after) from None
