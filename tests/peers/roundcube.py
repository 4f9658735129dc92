"""Debian's Roundcube behind nginx and PHP-FPM, as an instance of its own: its own configuration, database and sockets.

The program's files are the package's, read where they lie; everything that is written lies in ``folder``. It runs as
``www-data`` under root and else as whoever runs the tests. People are signed in by the plugin ``http_authentication``:
what stands in the request's Basic header is what Roundcube shows Dovecot and Postfix, in this request alone.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import sqlite3
from pathlib import Path

from . import nginx, program
from .process import Child, free_port, wait_until

CODE = Path("/var/lib/roundcube")
SCHEMA = Path("/usr/share/roundcube/SQL/sqlite.initial.sql")
USER = "www-data"


class Roundcube:
    """``url`` is where it answers, without TLS; to be stopped with :meth:`stop`.

    ``imap`` and ``smtp`` are ports on loopback without TLS. ``log`` has a line for each request: method, URI, status,
    and whether a Basic header came.
    """

    def __init__(self, folder: Path, imap: int, smtp: int) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http+plain://127.0.0.1:{self.port}"
        self.database, self.log = folder / "roundcube.db", folder / "requests.log"
        self._user = USER if os.geteuid() == 0 else None
        folder.mkdir(parents=True)
        for name in ("config", "logs", "temp", "nginx"):
            (folder / name).mkdir()
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            database.executescript(SCHEMA.read_text())
        config = folder / "config"
        (config / "defaults.inc.php").symlink_to("/etc/roundcube/defaults.inc.php")
        (config / "mimetypes.php").symlink_to("/etc/roundcube/mimetypes.php")
        (config / "config.inc.php").write_text(self._config(imap, smtp))
        (folder / "php.ini").write_text(f"error_log = {folder}/logs/php.log\nupload_max_filesize = 8M\n")
        (folder / "fpm.conf").write_text(self._fpm())
        (folder / "nginx.conf").write_text(self._nginx())
        if self._user:
            who = pwd.getpwnam(self._user)
            for each in (folder, *folder.rglob("*")):
                if not each.is_symlink():
                    os.chown(each, who.pw_uid, who.pw_gid)
        self._children: list[Child] = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        folder = self.folder
        fpm = [
            program("php-fpm8.2"),
            "-F",
            "-n",
            "-y",
            str(folder / "fpm.conf"),
            "-c",
            str(folder / "php.ini"),
        ]
        fpm += _modules()
        self._children.append(Child(fpm, folder / "logs" / "fpm.out", user=self._user))
        wait_until((folder / "fpm.sock").exists, "PHP-FPM's socket")
        nginx = [program("nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder / "nginx")]
        nginx += ["-e", str(folder / "logs" / "nginx.log")]
        self._children.append(Child(nginx, folder / "logs" / "nginx.out", user=self._user))
        self._children[-1].wait_for(self.port)

    def stop(self) -> None:
        """Stops both."""
        while self._children:
            self._children.pop().stop()

    def logged(self) -> str:
        """What Roundcube and PHP found worth saying."""
        logs = sorted((self.folder / "logs").iterdir())
        return "\n".join(f"{each.name}: {each.read_text(errors='replace')[-3000:]}" for each in logs)

    def sessions(self) -> list[str]:
        """What Roundcube keeps of its sessions, decoded: ``name|serialised value`` (PHP's own notation)."""
        import base64

        with contextlib.closing(sqlite3.connect(self.database)) as database:
            found = database.execute("SELECT vars FROM session").fetchall()
        return [base64.b64decode(each).decode("utf-8", "replace") for (each,) in found]

    def _config(self, imap: int, smtp: int) -> str:
        folder = self.folder
        return f"""<?php
$config['db_dsnw'] = 'sqlite:///{self.database}?mode=0600';
$config['log_dir'] = '{folder}/logs/';
$config['temp_dir'] = '{folder}/temp/';
$config['imap_host'] = '127.0.0.1:{imap}';
$config['smtp_host'] = '127.0.0.1:{smtp}';
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['des_key'] = '{secrets.token_hex(12)}';
$config['plugins'] = ['http_authentication', 'archive', 'markasjunk'];
$config['logout_url'] = '/.gambeson/leave';
$config['proxy_whitelist'] = ['127.0.0.1'];
$config['enable_installer'] = false;
$config['session_lifetime'] = 60;
$config['language'] = 'en_US';
$config['create_default_folders'] = true;
$config['log_errors'] = 1;
"""

    def _fpm(self) -> str:
        return f"""[global]
error_log = {self.folder}/logs/fpm.log
daemonize = no
[roundcube]
listen = {self.folder}/fpm.sock
pm = static
pm.max_children = 3
catch_workers_output = yes
clear_env = yes
env[ROUNDCUBE_CONFIG_DIR] = {self.folder}/config
"""

    def _nginx(self) -> str:
        folder = self.folder
        inside = f"""\
  client_max_body_size 8m;
  server {{
    listen 127.0.0.1:{self.port};
    root {CODE}/public_html;
    index index.php;
    location ~ ^/(index\\.php)?$ {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME {CODE}/public_html/index.php;
      fastcgi_pass unix:{folder}/fpm.sock;
    }}
    location ~ \\.php$ {{ return 404; }}
  }}
"""
        return nginx.configuration(folder, self.log, inside)


def _modules() -> list[str]:
    """PHP's modules that Roundcube needs, without the system's own configuration (``-n``)."""
    wanted = (
        "pdo pdo_sqlite sqlite3 dom xml mbstring iconv intl fileinfo ctype exif sockets posix gettext phar"
    )
    wanted += " tokenizer simplexml xmlreader xmlwriter"
    return [word for name in wanted.split() for word in ("-d", f"extension={name}")]
