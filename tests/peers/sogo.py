"""Debian's SOGo with ActiveSync behind nginx, as an instance of its own: memcached, tables, files.

People and their passwords are a table in PostgreSQL; SOGo shows Dovecot and Postfix the password that it was given.
nginx stands before it as the manual has it: it serves the static files, and names the public address to SOGo. Every
setting is an argument: SOGo puts those before ``/etc/sogo/sogo.conf``, which only root and its own user ``sogo`` may
read. So starting it needs root.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import secrets
from collections.abc import Mapping
from pathlib import Path

import psycopg

from . import nginx, program
from .process import Child, free_port, wait_until

RESOURCES = Path("/usr/share/GNUstep/SOGo/WebServerResources")
ACTIVE_SYNC = Path("/usr/lib/GNUstep/SOGo/ActiveSync.SOGo")
USER = "sogo"
_TABLES = {
    "SOGoProfileURL": "sogo_user_profile",
    "OCSFolderInfoURL": "sogo_folder_info",
    "OCSSessionsFolderURL": "sogo_sessions_folder",
    "OCSEMailAlarmsFolderURL": "sogo_alarms_folder",
    "OCSCacheFolderURL": "sogo_cache_folder",
    "OCSStoreURL": "sogo_store",
    "OCSAclURL": "sogo_acl",
}


class Sogo:
    """``url`` is where it answers, without TLS; to be stopped with :meth:`stop`.

    ``postgresql`` is the port of a server that trusts ``gambeson``; ``people`` maps addresses to passwords;
    ``imap`` and ``smtp`` are ports on loopback without TLS. ``requests`` has a line for each request.
    ``ping_seconds``: how long a phone may be kept waiting.
    """

    def __init__(
        self,
        folder: Path,
        postgresql: int,
        people: Mapping[str, str],
        imap: int,
        smtp: int,
        ping_seconds: int = 120,
    ) -> None:
        self.folder, self.port, self._inner = folder, free_port(), free_port()
        self.url = f"http+plain://127.0.0.1:{self.port}"
        self.log, self.requests = folder / "sogo.log", folder / "requests.log"
        self._database = f"sogo_{secrets.token_hex(4)}"
        self._where = f"postgresql://gambeson@127.0.0.1:{postgresql}/{self._database}"
        for each in (folder, folder / "spool", folder / "nginx"):
            each.mkdir(parents=True, exist_ok=True)
        self._fill(postgresql, people)
        (folder / "nginx.conf").write_text(self._nginx())
        who = pwd.getpwnam(USER)
        for each in (folder, *folder.rglob("*")):
            os.chown(each, who.pw_uid, who.pw_gid)
        self._children: list[Child] = []
        try:
            self._start(self._options(imap, smtp, ping_seconds))
        except BaseException:
            self.stop()
            raise

    def _start(self, options: dict[str, str]) -> None:
        folder, environ = self.folder, {"HOME": str(self.folder)}
        socket = folder / "memcached"
        cache = [program("memcached"), "-s", str(socket), "-a", "0700", "-m", "16"]
        self._children.append(Child(cache, folder / "memcached.log", environ, USER))
        wait_until(socket.exists, "memcached's socket")
        command = [
            program("sogod"),
            *(word for name, value in options.items() for word in (f"-{name}", value)),
        ]
        self._children.append(Child(command, self.log, environ, USER))
        self._children[-1].wait_for(self._inner)
        nginx = [program("nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder / "nginx")]
        nginx += ["-e", str(folder / "nginx.log")]
        self._children.append(Child(nginx, folder / "nginx.out", environ, USER))
        self._children[-1].wait_for(self.port)

    def stop(self) -> None:
        """Stops all three."""
        while self._children:
            self._children.pop().stop()

    def _fill(self, postgresql: int, people: Mapping[str, str]) -> None:
        where = f"postgresql://gambeson@127.0.0.1:{postgresql}/postgres"
        wait_until(lambda: _made(where, self._database), "PostgreSQL")
        with psycopg.connect(self._where) as connection:
            connection.execute(
                "CREATE TABLE people (c_uid text PRIMARY KEY, c_name text, c_password text, c_cn text, mail text)"
            )
            for address, password in people.items():
                row = (address, address, _ssha(password), address.partition("@")[0].title(), address)
                connection.execute("INSERT INTO people VALUES (%s, %s, %s, %s, %s)", row)

    def _options(self, imap: int, smtp: int, ping_seconds: int) -> dict[str, str]:
        source = f"""({{ type = sql; id = people; viewURL = "{self._where}/people"; canAuthenticate = YES;
            isAddressBook = YES; displayName = People; userPasswordAlgorithm = ssha; MailFieldNames = (mail); }})"""
        return {
            **{name: f'"{self._where}/{table}"' for name, table in _TABLES.items()},
            "SOGoUserSources": source,
            "SOGoIMAPServer": f'"imap://127.0.0.1:{imap}"',
            "SOGoSMTPServer": f'"smtp://127.0.0.1:{smtp}"',
            "SOGoSMTPAuthenticationType": "PLAIN",
            "SOGoMailingMechanism": "smtp",
            "SOGoMailSpoolPath": f'"{self.folder}/spool"',
            "SOGoMemcachedHost": f'"{self.folder}/memcached"',
            "SOGoLanguage": "English",
            "SOGoTimeZone": "UTC",
            "SOGoMaximumPingInterval": str(ping_seconds),
            "SOGoMaximumSyncInterval": str(ping_seconds),
            "SOGoInternalSyncInterval": "1",
            "SOGoMaximumFailedLoginCount": "0",
            "WOPort": f'"127.0.0.1:{self._inner}"',
            "WOWorkersCount": "4",
            "WONoDetach": "YES",
            "WOLogFile": "-",
            "WOPidFile": f'"{self.folder}/pid"',
            "WOWatchDogRequestTimeout": "60",
        }

    def _nginx(self) -> str:
        folder = self.folder
        inside = f"""\
  proxy_http_version 1.1;
  proxy_read_timeout 3600s;
  proxy_buffer_size 32k;
  proxy_buffers 8 32k;
  proxy_set_header Host $http_host;
  proxy_set_header x-webobjects-server-protocol HTTP/1.0;
  proxy_set_header x-webobjects-remote-host 127.0.0.1;
  proxy_set_header x-webobjects-server-name $host;
  proxy_set_header x-webobjects-server-url https://$http_host;
  proxy_set_header x-webobjects-server-port 443;
  proxy_set_header x-webobjects-remote-user "";
  server {{
    listen 127.0.0.1:{self.port};
    location = / {{ return 302 /SOGo/; }}
    location ~ ^/SOGo(\\.woa)?/WebServerResources/ {{
      rewrite ^/SOGo(?:\\.woa)?/WebServerResources/(.*)$ /$1 break;
      root {RESOURCES};
    }}
    location /SOGo {{ proxy_pass http://127.0.0.1:{self._inner}; }}
    location /Microsoft-Server-ActiveSync {{
      proxy_pass http://127.0.0.1:{self._inner}/SOGo/Microsoft-Server-ActiveSync;
    }}
  }}
"""
        return nginx.configuration(folder, self.requests, inside)


def _made(where: str, database: str) -> bool:
    """Whether the database was made; not while the server only begins to answer."""
    try:
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
    except psycopg.OperationalError:
        return False
    return True


def _ssha(password: str) -> str:
    """RFC 2307's salted SHA-1, which SOGo's table may hold."""
    salt = secrets.token_bytes(8)
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()
