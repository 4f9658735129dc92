# ruff: noqa: E501 - targets stand on one line, as they are sent
"""Requests as real clients make them: OWA, phones, Outlook, Mac Mail, Roundcube, SOGo.

The shapes are written down from what clients send, not taken from the grammar's files.
"""

from __future__ import annotations

import base64
import random
import struct
from collections.abc import Iterator
from urllib.parse import quote

from gambeson.model.web import Product
from guard.core.web.asking import FIREFOX

SEARCHED = 'from:bob | "a; b" {x}'
PEOPLE = [
    "anna@example.org",
    "bert.il@sub.example.org",
    "o'brien@example.org",
    "e+mail@example.org",
    "x_y-z@example.co.uk",
]
VERSIONS = ["15.1.2507.6", "15.2.1544.4", "15.2.2562.17", "15.0.1497.48"]
ACTIONS = [
    "FindItem",
    "GetItem",
    "FindConversation",
    "GetConversationItems",
    "CreateItem",
    "UpdateItem",
    "SendItem",
    "DeleteItem",
    "MoveItem",
    "SubscribeToNotification",
    "GetFolder",
    "FindFolder",
    "SyncFolderHierarchy",
    "GetReminders",
    "PerformReminderAction",
    "GetCalendarView",
    "GetCalendarFolders",
    "CreateCalendarEvent",
    "FindPeople",
    "GetPersona",
    "GetMailTips",
    "LogDatapoint",
    "GetTimeZone",
    "GetInboxRule",
    "SetInboxRule",
    "NewInboxRule",
    "GetMailboxAutoReplyConfiguration",
    "SetMailboxAutoReplyConfiguration",
    "ApplyConversationAction",
    "MarkAllItemsAsRead",
    "GetPeopleFilters",
    "ProcessSuiteStorage",
    "GetUserAvailabilityInternal",
    "CreateAttachment",
    "DeleteAttachment",
    "GetOwaUserConfiguration",
]
COMMANDS = [
    "Sync",
    "SendMail",
    "SmartForward",
    "SmartReply",
    "GetAttachment",
    "FolderSync",
    "FolderCreate",
    "FolderDelete",
    "FolderUpdate",
    "MoveItems",
    "GetItemEstimate",
    "MeetingResponse",
    "Search",
    "Settings",
    "Ping",
    "ItemOperations",
    "Provision",
    "ResolveRecipients",
    "ValidateCert",
]
CODES = [0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22]
BROWSERS = [
    FIREFOX,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
]
DEVICES = [
    ("Apple-iPhone14C3/2103.52", "ApplF2LXK0EQJC6T", "iPhone"),
    ("SAMSUNG-SM-S911B/101.15", "SEC1739281AB66D5F", "SAMSUNGSMS911B"),
    ("Android-Mail/2025.01.26", "androidc1234567890", "Android"),
    ("Outlook-iOS-Android/1.0", "7A6B41F0D92E4B7A", "Outlook"),
]
Request = tuple[Product, str, str, list[tuple[str, str]], bool]


class Clients:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def token(self, length: int) -> str:
        return base64.b64encode(self.dice.randbytes(length)).decode()

    def hexes(self, length: int) -> str:
        return self.dice.randbytes(length).hex()

    def guid(self) -> str:
        h = self.hexes(16)
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"

    def owa(self) -> Request:
        d = self.dice
        canary = self.token(33).replace("+", "-").replace("/", "_") + "."
        cookies = (
            f"ClientId={self.hexes(16).upper()}; X-BackEndCookie=S-1-5-21-{d.randrange(10**9)}={self.token(60)}; "
            f"cadata={self.token(128)}; cadataTTL={self.token(24)}; cadataKey={self.token(256)}; cadataIV={self.token(256)}; "
            f"cadataSig={self.token(256)}; X-OWA-CANARY={canary}; UC={self.hexes(8)}; PrivateComputer=true; AppcacheVer=15.1:en-us"
        )
        headers = [
            ("User-Agent", d.choice(BROWSERS)),
            ("Accept", "*/*"),
            ("Accept-Language", "de,en;q=0.5"),
            ("Cookie", cookies),
        ]
        version, person = d.choice(VERSIONS), d.choice(PEOPLE)
        json = [
            *headers,
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-OWA-CANARY", canary),
            ("Action", "FindItem"),
            ("X-Requested-With", "XMLHttpRequest"),
            ("X-OWA-ActionId", "-1"),
            ("X-OWA-CorrelationId", self.guid()),
        ]
        item = quote(self.token(90), safe="")
        choices = [
            ("GET", "/", headers, False),
            ("GET", "/owa", headers, False),
            (
                "GET",
                d.choice(
                    [
                        "/owa/",
                        "/OWA/",
                        "/Owa/?bO=1",
                        "/owa/?modurl=0",
                        "/owa/?path=/mail/inbox",
                        "/owa/?ae=Folder&t=IPF.Appointment",
                    ]
                ),
                headers,
                False,
            ),
            ("GET", f"/owa/?ItemID={item}&exvsurl=1&viewmodel=ReadMessageItem", headers, False),
            (
                "GET",
                f"/owa/projection.aspx?viewmodel=MailComposeViewModelFactory&wid={d.randrange(99)}",
                headers,
                False,
            ),
            (
                "GET",
                f"/owa/?path=/mail/action/compose&to={quote(person)}&subject=Hi%20there&body=100%25%20sure%20%26%20fine",
                headers,
                False,
            ),
            (
                "GET",
                f"/owa/auth/logon.aspx?url=https%3a%2f%2fmail.example.org%2fowa%2f&reason={d.randrange(4)}",
                headers,
                False,
            ),
            (
                "GET",
                "/owa/auth/logon.aspx?replaceCurrent=1&url=https%3a%2f%2fmail.example.org%2fecp%2f%3frfr%3dowa",
                headers,
                False,
            ),
            (
                "POST",
                "/owa/auth.owa",
                [*headers, ("Content-Type", "application/x-www-form-urlencoded")],
                True,
            ),
            (
                "GET",
                f"/owa/auth/{version}/themes/resources/{d.choice(['logon.css', 'segoeui-regular.ttf', 'olk_logo_white.png', 'favicon.ico'])}",
                headers,
                False,
            ),
            ("GET", f"/owa/auth/{version}/scripts/premium/flogon.js", headers, False),
            ("GET", f"/owa/prem/{version}/scripts/microsoft.owa.core.models.js", headers, False),
            ("GET", f"/owa/prem/{version}/resources/styles/0/boot.worldwide.mouse.css", headers, False),
            ("GET", f"/owa/prem/{version}/scripts/globalize/globalize.culture.en-us.js", headers, False),
            (
                "POST",
                f"/owa/service.svc?action={(a := d.choice(ACTIONS))}&EP=1&UA=0&ID=-{d.randrange(1, 300)}&AC=1",
                json,
                True,
            ),
            (
                "POST",
                f"/owa/service.svc?action={a}&EP=1&ID=-{d.randrange(1, 300)}&AC=1",
                [*json, ("X-OWA-ExplicitLogonUser", person)],
                True,
            ),
            ("POST", f"/owa/{quote(person)}/service.svc?action={a}&ID=-1&AC=1", json, True),
            ("GET", f"/owa/{person}/", headers, False),
            (
                "GET",
                f"/owa/service.svc/s/GetFileAttachment?id={item}&X-OWA-CANARY={quote(canary)}",
                headers,
                False,
            ),
            (
                "GET",
                f"/owa/service.svc/s/GetPersonaPhoto?email={quote(person)}&UA=0&size=HR96x96",
                headers,
                False,
            ),
            (
                "POST",
                f"/owa/service.svc/s/CreateAttachmentFromLocalFile?UA=0&X-OWA-CANARY={quote(canary)}",
                [*headers, ("Content-Type", "multipart/form-data; boundary=x")],
                True,
            ),
            ("POST", "/owa/sessiondata.ashx?appcacheclient=0", headers, True),
            (
                "GET",
                f"/owa/userspecificresourceinjector.ashx?ver={version}&appcacheclient=1&layout=mouse",
                headers,
                False,
            ),
            ("POST", f"/owa/plt1.ashx?cid={self.hexes(8)}", headers, True),
            (
                "GET",
                f"/owa/ev.owa2?ns=PendingRequest&ev=PendingNotificationRequest&UA=0&cid={self.guid()}&X-OWA-CANARY={quote(canary)}",
                headers,
                False,
            ),
            (
                "POST",
                f"/owa/ev.owa2?ns=PendingRequest&ev=FinishNotificationRequest&UA=0&cid={self.guid()}",
                headers,
                True,
            ),
            (
                "GET",
                f"/owa/signalr/connect?transport=serverSentEvents&clientProtocol=1.5&connectionToken={quote(self.token(60), safe='')}&connectionData=%5B%7B%22name%22%3A%22owa%22%7D%5D&tid=3",
                headers,
                False,
            ),
            ("GET", "/owa/logoff.owa", headers, False),
            ("GET", "/ecp/?rfr=owa&p=PersonalSettings/Password.aspx", headers, False),
            ("GET", "/ecp/RulesEditor/InboxRules.slab?rfr=owa&showhelp=false", headers, False),
            (
                "POST",
                f"/ecp/RulesEditor/InboxRules.svc/{d.choice(['GetList', 'NewObject', 'SetObject', 'RemoveObjects'])}?msExchEcpCanary={quote(canary)}",
                json,
                True,
            ),
            ("GET", f"/ecp/{version}/scripts/common.js", headers, False),
            ("GET", f"/ecp/{version}/themes/default/sprite1.mouse.png", headers, False),
        ]
        return (Product.EXCHANGE, *d.choice(choices))

    def eas(self, product: Product) -> Request:
        d = self.dice
        agent, device, kind = d.choice(DEVICES)
        user = d.choice([*PEOPLE, "EXAMPLE\\anna", "anna"])
        headers = [
            ("User-Agent", agent),
            ("MS-ASProtocolVersion", d.choice(["14.1", "16.1", "16.0"])),
            ("X-MS-PolicyKey", str(d.randrange(2**32))),
            ("Authorization", "Basic YW5uYTp4"),
            ("Content-Type", "application/vnd.ms-sync.wbxml"),
        ]
        path = d.choice(
            ["/Microsoft-Server-ActiveSync", "/microsoft-server-activesync", "/Microsoft-Server-ActiveSync"]
        )
        if d.random() < 0.1:
            return product, "OPTIONS", path, headers[:1] + headers[3:4], False
        if d.random() < 0.5:
            command = d.choice(COMMANDS)
            query = f"Cmd={command}&User={quote(user, safe='')}&DeviceId={device}&DeviceType={kind}"
            if command in ("SmartReply", "SmartForward"):
                query += "&CollectionId=5&ItemId=5%3a12&SaveInSent=T"
            if command == "SendMail":
                query += "&SaveInSent=T"
                headers[-1] = ("Content-Type", d.choice(["message/rfc822", "application/vnd.ms-sync.wbxml"]))
            if command == "GetAttachment":
                query += "&AttachmentName=5%3a12%3a0"
            return product, "POST", f"{path}?{query}", headers, d.random() < 0.9
        octets = (
            bytes([141, d.choice(CODES)]) + struct.pack("<H", 0x0409) + bytes([len(device)]) + device.encode()
        )
        octets += bytes([4]) + struct.pack("<I", d.randrange(2**32)) + bytes([len(kind)]) + kind.encode()
        octets += b"".join(
            bytes([tag, len(value)]) + value
            for tag, value in [(7, b"\x01"), (8, user.encode())]
            if d.random() < 0.5
        )
        text = base64.b64encode(octets).decode()
        return product, "POST", f"{path}?{quote(text, safe='') if d.random() < 0.3 else text}", headers, True

    def outlook(self) -> Request:
        d = self.dice
        person = d.choice(PEOPLE)
        office = [
            ("User-Agent", "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)"),
            ("X-ClientInfo", "{" + self.guid() + "}"),
            ("X-RequestId", "{" + self.guid() + "}:1"),
            ("X-ClientApplication", "Outlook/16.0.17928.20114"),
            ("X-AnchorMailbox", person),
            ("X-User-Identity", person),
            ("X-MapiHttpCapability", "1"),
            ("Authorization", "Basic YW5uYTp4"),
            ("Content-Type", "application/mapi-http"),
        ]
        xml = [
            (
                "User-Agent",
                d.choice(
                    [
                        "MacOutlook/16.89 (Intel Mac OS X)",
                        "Mac OS X/15.1 ExchangeWebServices/800",
                        "ExchangeServicesClient/15.0.847.30",
                        "exchangelib/5.6.0",
                    ]
                ),
            ),
            ("Content-Type", "text/xml; charset=utf-8"),
            ("Authorization", "Basic YW5uYTp4"),
            ("X-AnchorMailbox", person),
            ("SOAPAction", '"x"'),
        ]
        choices = [
            (
                "POST",
                f"/mapi/emsmdb/?MailboxId={self.guid()}@example.org",
                [
                    *office,
                    (
                        "X-RequestType",
                        d.choice(["Connect", "Execute", "Disconnect", "NotificationWait", "PING"]),
                    ),
                ],
                True,
            ),
            (
                "POST",
                f"/mapi/nspi/?MailboxId={self.guid()}@example.org",
                [
                    *office,
                    (
                        "X-RequestType",
                        d.choice(
                            [
                                "Bind",
                                "Unbind",
                                "QueryRows",
                                "ResolveNames",
                                "GetMatches",
                                "DNToMId",
                                "GetProps",
                                "GetMailboxUrl",
                                "GetAddressBookUrl",
                            ]
                        ),
                    ),
                ],
                True,
            ),
            ("POST", d.choice(["/EWS/Exchange.asmx", "/ews/exchange.asmx"]), xml, True),
            ("GET", f"/OAB/{self.guid()}/oab.xml", office[:-1], False),
            ("HEAD", f"/OAB/{self.guid()}/{self.guid()}-data-{d.randrange(40)}.lzx", office[:-1], False),
            ("GET", f"/oab/{self.guid()}/{self.guid()}-lng0407-1.lzx", office[:-1], False),
            (
                "POST",
                d.choice(["/Autodiscover/Autodiscover.xml", "/autodiscover/autodiscover.xml"]),
                xml,
                True,
            ),
            ("POST", "/autodiscover/autodiscover.svc", xml, True),
            (
                "GET",
                f"/autodiscover/autodiscover.json?Email={quote(person)}&Protocol={d.choice(['ActiveSync', 'Ews', 'AutodiscoverV1', 'REST'])}&RedirectCount=3",
                xml[:1],
                False,
            ),
            (
                "GET",
                f"/autodiscover/autodiscover.json/v1.0/{quote(person)}?Protocol=ActiveSync&RedirectCount=1",
                xml[:1],
                False,
            ),
            (
                "GET",
                f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={quote(person)}",
                xml[:1],
                False,
            ),
            ("GET", "/mail/config-v1.1.xml", xml[:1], False),
        ]
        return (Product.EXCHANGE, *d.choice(choices))

    def roundcube(self) -> Request:
        d = self.dice
        headers = [
            ("User-Agent", d.choice(BROWSERS)),
            (
                "Cookie",
                f"roundcube_sessid={self.hexes(13)}; roundcube_sessauth={self.hexes(20)}-{d.randrange(10**9)}; colorMode=dark",
            ),
            ("X-Requested-With", "XMLHttpRequest"),
            ("X-Roundcube-Request", self.hexes(16)),
            ("Accept", "application/json"),
        ]
        form = [*headers, ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")]
        upload = [
            *headers,
            ("Content-Type", f"multipart/form-data; boundary=----WebKitFormBoundary{self.hexes(8)}"),
        ]
        mount = d.choice(["/", "/roundcube/", "/index.php", "/webmail/"])
        box = quote(
            d.choice(["INBOX", "INBOX.Sent Items", "Entwürfe", "Archive/2025", "R&AOk-sum&AOk-"]), safe=""
        )
        uid, stamp = d.randrange(1, 99999), d.randrange(10**12, 10**13)
        base = mount if mount == "/" or not mount.endswith("php") else "/"
        choices = [
            ("GET", mount, headers, False),
            ("POST", f"{mount}?_task=login", form, True),
            ("GET", f"{mount}?_task=mail&_mbox={box}", headers, False),
            (
                "GET",
                f"{mount}?_task=mail&_action=list&_refresh=1&_mbox={box}&_page={d.randrange(9)}&_sort=date_DESC&_remote=1&_unlock=loading{stamp}&_={stamp}",
                headers,
                False,
            ),
            (
                "GET",
                f"{mount}?_task=mail&_action=list&_mbox={box}&_cols%5B%5D=subject&_cols%5B%5D=from&_remote=1",
                headers,
                False,
            ),
            (
                "GET",
                f"{mount}?_task=mail&_caps=pdf%3D1%2Cflash%3D0%2Ctiff%3D0%2Cwebp%3D1%2Cpgpmime%3D0&_uid={uid}&_mbox={box}&_framed=1&_action=preview",
                headers,
                False,
            ),
            ("GET", f"{mount}?_task=mail&_uid={uid}&_mbox={box}&_action=show&_extwin=1", headers, False),
            (
                "GET",
                f"{mount}?_task=mail&_mbox={box}&_uid={uid}&_part=2&_action=get&_embed=1&_mimeclass=image",
                headers,
                False,
            ),
            ("GET", f"{mount}?_task=mail&_action=compose&_id={self.hexes(12)}", headers, False),
            (
                "GET",
                f"{mount}?_task=mail&_action=compose&_to={quote('Anna <anna@example.org>; b@example.org')}&_subject=Re%3A%20what%21%20%7C%20ever",
                headers,
                False,
            ),
            (
                "POST",
                f"{mount}?_task=mail&_action=send&_unlock=loading{stamp}&_framed=1&_lang=de",
                form,
                True,
            ),
            (
                "POST",
                f"{mount}?_task=mail&_id={self.hexes(12)}&_uploadid=upload{stamp}&_unlock=loading{stamp}&_from=compose&_remote=1&_action=upload",
                upload,
                True,
            ),
            (
                "POST",
                f"{mount}?_task=mail&_action={d.choice(['mark', 'move', 'copy', 'delete', 'refresh', 'check-recent', 'autocomplete', 'getunread', 'pagenav', 'attachment-delete', 'search'])}",
                form,
                True,
            ),
            (
                "GET",
                f"{mount}?_task=mail&_action=search&_q={quote(SEARCHED)}&_headers=subject%2Cfrom&_scope=all&_mbox={box}&_remote=1",
                headers,
                False,
            ),
            ("GET", f"{mount}?_task=mail&_action=plugin.zipdownload.messages&_mbox={box}", headers, False),
            ("POST", f"{mount}?_task=settings&_action=plugin.managesieve-action&_act=list", form, True),
            (
                "GET",
                f"{mount}?_task=addressbook&_action=photo&_email={quote('a@example.org')}&_error=1",
                headers,
                False,
            ),
            (
                "POST",
                f"{mount}?_task=addressbook&_action={d.choice(['save', 'group-create', 'group-addmembers', 'import', 'search', 'move'])}",
                form,
                True,
            ),
            (
                "GET",
                f"{mount}?_task=settings&_action={d.choice(['edit-prefs', 'folders', 'identities', 'responses', 'edit-identity', 'edit-folder', 'about', 'preferences'])}&_framed=1&_section=general",
                headers,
                False,
            ),
            (
                "POST",
                f"{mount}?_task=settings&_action=upload&_remote=1&_from=edit-identity&_id=3&_uploadid=upload{stamp}&_unlock=loading{stamp}",
                upload,
                True,
            ),
            ("POST", f"{mount}?_task=settings&_action=save-prefs", form, True),
            (
                "GET",
                f"{mount}?_task=utils&_action=modcss&_u=tmp-{self.hexes(16)}.css&_c=message&_p=v1",
                headers,
                False,
            ),
            ("GET", f"{mount}?_task=logout&_token={self.hexes(16)}", headers, False),
            ("GET", f"{base}skins/elastic/styles/styles.min.css?s={stamp}", headers, False),
            ("GET", f"{base}skins/elastic/watermark.html", headers, False),
            ("GET", f"{base}skins/elastic/fonts/roboto-v29-regular.woff2", headers, False),
            (
                "GET",
                f"{base}program/js/{d.choice(['app.min.js', 'common.min.js', 'jquery.min.js', 'tinymce/tinymce.min.js', 'tinymce/skins/ui/oxide/skin.min.css'])}?s={stamp}",
                headers,
                False,
            ),
            (
                "GET",
                f"{base}plugins/{d.choice(['managesieve/managesieve.min.js', 'jqueryui/js/jquery-ui.min.js', 'archive/archive.min.js', 'newmail_notifier/sound.wav'])}?s=1",
                headers,
                False,
            ),
            ("GET", f"{base}program/resources/blank.gif", headers, False),
        ]
        return (Product.ROUNDCUBE, *d.choice(choices))

    def sogo(self) -> Request:
        d = self.dice
        user = d.choice(["anna", "anna%40example.org", "bertil.x", "d'arcy"])
        headers = [
            ("User-Agent", d.choice(BROWSERS)),
            ("Cookie", f"0xHIGHFLYxSOGo={quote(self.token(40), safe='')}; XSRF-TOKEN={self.hexes(20)}"),
            ("X-XSRF-TOKEN", self.hexes(20)),
            ("Accept", "application/json, text/plain, */*"),
        ]
        json = [*headers, ("Content-Type", "application/json;charset=utf-8")]
        folder = d.choice(
            ["folderINBOX", "folderSent_SP_Items", "folderEntw%C3%BCrfe", "folderArchive/folder2025"]
        )
        choices = [
            ("GET", "/SOGo/", headers, False),
            ("GET", "/SOGo", headers, False),
            ("POST", "/SOGo/connect", json, True),
            ("GET", f"/SOGo/so/{user}/Mail/view", headers, False),
            ("GET", f"/SOGo/so/{user}/Mail/0/view", headers, False),
            ("POST", f"/SOGo/so/{user}/Mail/0/{folder}/view", json, True),
            ("POST", f"/SOGo/so/{user}/Mail/0/{folder}/changes", json, True),
            ("GET", f"/SOGo/so/{user}/Mail/0/{folder}/{d.randrange(9999)}/view", headers, False),
            ("POST", f"/SOGo/so/{user}/Mail/0/{folder}/headers", json, True),
            ("POST", f"/SOGo/so/{user}/Mail/0/folderDrafts/newDraft{d.randrange(10**9)}-1/send", json, True),
            (
                "GET",
                f"/SOGo/so/{user}/Mail/0/{folder}/{d.randrange(9999)}/2/R%C3%A9sum%C3%A9%20(1).pdf",
                headers,
                False,
            ),
            (
                "GET",
                f"/SOGo/so/{user}/Calendar/eventsblocks?day=20261124&filterpopup=view_today&sd=20261123&ed=20261130&view=weekview",
                headers,
                False,
            ),
            ("GET", f"/SOGo/so/{user}/Calendar/personal/{self.guid().upper()}.ics/view", headers, False),
            ("POST", f"/SOGo/so/{user}/Calendar/personal/{self.guid()}.ics/save", json, True),
            ("GET", f"/SOGo/so/{user}/Contacts/personal/view?sort=c_cn&asc=1", headers, False),
            ("GET", f"/SOGo/so/{user}/Contacts/allContactSearch?search=ann&excludeGroups=0", headers, False),
            ("GET", f"/SOGo/so/{user}/usersSearch?search=ann", headers, False),
            ("GET", f"/SOGo/so/{user}/Preferences", headers, False),
            ("POST", f"/SOGo/so/{user}/Preferences/save", json, True),
            ("GET", f"/SOGo/so/{user}/logoff", headers, False),
            ("GET", f"/SOGo/so/{user}/freebusy.ifb/ajaxRead?sday=20261124&eday=20261130", headers, False),
            (
                "GET",
                f"/SOGo.woa/WebServerResources/js/{d.choice(['Common.js', 'Mailer.js', 'vendor/angular.min.js', 'Scheduler.services.js'])}?lm={d.randrange(10**9)}",
                headers,
                False,
            ),
            ("GET", "/SOGo.woa/WebServerResources/css/theme-default.css?lm=1", headers, False),
            ("GET", "/SOGo/WebServerResources/img/sogo.ico", headers, False),
        ]
        return (Product.SOGO, *d.choice(choices))

    def all(self, count: int) -> Iterator[Request]:
        makers = [
            self.owa,
            lambda: self.eas(Product.EXCHANGE),
            self.outlook,
            self.roundcube,
            self.sogo,
            lambda: self.eas(Product.SOGO),
        ]
        for number in range(count):
            yield makers[number % len(makers)]()
