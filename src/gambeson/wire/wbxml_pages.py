"""The code pages of ActiveSync's WBXML that Gambeson names (MS-ASWBXML section 2.1.2.1). Facts only.

A tag that is not named here is still read and written, by its page and number.
"""

from __future__ import annotations

AIR_SYNC, EMAIL, FOLDER, PING, PROVISION, BASE, SETTINGS, COMPOSE = 0, 2, 7, 13, 14, 17, 18, 21


def _row(first: int, words: str) -> dict[int, str]:
    """Consecutive numbers from ``first``; ``-`` leaves one out."""
    return {first + n: word for n, word in enumerate(words.split()) if word != "-"}


PAGES: dict[int, dict[int, str]] = {
    AIR_SYNC: _row(
        0x05,
        "Sync Responses Add Change Delete Fetch SyncKey ClientId ServerId Status Collection Class - CollectionId "
        "GetChanges MoreAvailable WindowSize Commands Options FilterType - - Conflict Collections ApplicationData "
        "DeletesAsMoves - Supported SoftDelete MIMESupport MIMETruncation Wait Limit Partial ConversationMode MaxItems "
        "HeartbeatInterval",
    ),
    EMAIL: _row(0x0F, "DateReceived - DisplayTo Importance MessageClass Subject Read To Cc From ReplyTo"),
    FOLDER: _row(
        0x07,
        "DisplayName ServerId ParentId Type - Status - Changes Add Delete Update SyncKey FolderCreate FolderDelete "
        "FolderUpdate FolderSync Count",
    ),
    PING: _row(0x05, "Ping - Status HeartbeatInterval Folders Folder Id Class MaxFolders"),
    PROVISION: _row(
        0x05,
        "Provision Policies Policy PolicyType PolicyKey Data Status RemoteWipe EASProvisionDoc DevicePasswordEnabled "
        "AlphanumericDevicePasswordRequired RequireStorageCardEncryption PasswordRecoveryEnabled - AttachmentsEnabled "
        "MinDevicePasswordLength MaxInactivityTimeDeviceLock MaxDevicePasswordFailedAttempts MaxAttachmentSize "
        "AllowSimpleDevicePassword DevicePasswordExpiration DevicePasswordHistory AllowStorageCard AllowCamera "
        "RequireDeviceEncryption",
    ),
    BASE: _row(
        0x05,
        "BodyPreference Type TruncationSize AllOrNone - Body Data EstimatedDataSize Truncated Attachments Attachment "
        "DisplayName FileReference Method ContentId ContentLocation IsInline NativeBodyType ContentType Preview",
    ),
    SETTINGS: {
        **_row(0x05, "Settings Status Get Set Oof OofState StartTime EndTime OofMessage"),
        **_row(
            0x16,
            "DeviceInformation Model IMEI FriendlyName OS OSLanguage PhoneNumber UserInformation EmailAddresses "
            "SMTPAddress UserAgent EnableOutboundSMS MobileOperator PrimarySmtpAddress",
        ),
    },
    COMPOSE: _row(
        0x05,
        "SendMail SmartForward SmartReply SaveInSentItems ReplaceMime - Source FolderId ItemId LongId InstanceId Mime "
        "ClientId Status AccountId",
    ),
}
NUMBERS = {(page, name): number for page, names in PAGES.items() for number, name in names.items()}
