"""Debian's Postfix as an instance of its own: submission with SASL by Dovecot, XCLIENT from loopback, mail to LMTP.

Everything for ``example.org`` goes to the LMTP port given; everything else is
held, so that no test sends mail anywhere.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from . import program
from .pki import Certificate
from .process import Child, free_port


class Postfix:
    """``ports``: smtp (takes mail for example.org from anybody), submission (STARTTLS, sign-in), submissions."""

    def __init__(
        self, folder: Path, tls: Certificate, auth_port: int, lmtp_port: int, extra: str = ""
    ) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("smtp", "submission", "submissions")}
        self._configuration = folder / "etc"
        self.log = folder / "postfix.log"
        for each in (self._configuration, folder / "queue", folder / "data"):
            each.mkdir(parents=True, exist_ok=True)
        for each in (folder, *folder.parents):
            if each == each.parent or str(each) == "/tmp":
                break
            each.chmod(each.stat().st_mode | 0o755)
        subprocess.run(["chown", "postfix", str(folder / "data")], check=True)
        (self._configuration / "main.cf").write_text(self._main(tls, auth_port, lmtp_port) + extra)
        (self._configuration / "master.cf").write_text(self._master())
        self._child: Child | None = None
        self.start()

    def start(self) -> None:
        """Makes the queue's directories and starts it."""
        subprocess.run(
            [program("postfix"), "-c", str(self._configuration), "check"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        command = [program("postfix"), "-c", str(self._configuration), "start-fg"]
        self._child = Child(command, self.folder / "out.log")
        self._child.wait_for(*self.ports.values())

    def stop(self) -> None:
        """Stops it; ``start`` may follow."""
        if self._child:
            subprocess.run(
                [program("postfix"), "-c", str(self._configuration), "stop"], capture_output=True, timeout=60
            )
            self._child.stop()
            self._child = None

    def logged(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _main(self, tls: Certificate, auth_port: int, lmtp_port: int) -> str:
        return f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
maillog_file = {self.log}
maillog_file_prefixes = /
myhostname = postfix.example.org
mydestination =
myorigin = example.org
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtputf8_enable = yes
message_size_limit = 110000000
mailbox_size_limit = 0
smtpd_tls_cert_file = {tls.certificate}
smtpd_tls_key_file = {tls.key}
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth_port}
smtpd_sasl_security_options = noanonymous
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:yes
virtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}
default_transport = hold
relay_transport = hold
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
alias_maps =
alias_database =
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C
"""

    def _master(self) -> str:
        ports = self.ports
        return f"""
127.0.0.1:{ports["smtp"]} inet n - n - - smtpd
127.0.0.1:{ports["submission"]} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{ports["submissions"]} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
hold unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
