"""Debian's OpenLDAP server with the accounts of the shared Dovecot: StartTLS, ldaps and ldapi."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import quote

from . import program
from .people import ACCOUNTS
from .pki import Certificate
from .process import Child, free_port

BASE = "dc=example,dc=org"
READER = (f"cn=reader,{BASE}", "reader-password")


def dn(name: str) -> str:
    """The entry of ``anna``, ``bert`` or ``cleo``."""
    return f"uid={name},ou=people,{BASE}"


class Slapd:
    """``ports``: ldap (StartTLS offered), ldaps. People are ``uid=NAME,ou=people,dc=example,dc=org`` with mail, uid and
    the password that Dovecot knows too; ``READER`` may search.

    ``lockout``: after so many wrong passwords the ppolicy overlay locks an entry for good (0: never).
    ``entries``: more LDIF.
    """

    def __init__(
        self,
        folder: Path,
        tls: Certificate,
        ca: Path,
        extra: str = "",
        *,
        lockout: int = 0,
        entries: str = "",
    ) -> None:
        self.folder = folder
        self.ports = {"ldap": free_port(), "ldaps": free_port()}
        database = folder / "db"
        database.mkdir(parents=True, exist_ok=True)
        self._configuration = folder / "slapd.conf"
        self._configuration.write_text(
            "".join(
                f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson")
            )
            + f"pidfile {folder}/slapd.pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            + ("moduleload ppolicy\n" if lockout else "")
            + f"TLSCACertificateFile {ca}\nTLSCertificateFile {tls.certificate}\nTLSCertificateKeyFile {tls.key}\n"
            + f'database mdb\nmaxsize 16777216\nsuffix "{BASE}"\nrootdn "cn=root,{BASE}"\ndirectory {database}\n'
            + "index mail,uid eq\n"
            + "access to attrs=userPassword by anonymous auth by * none\n"
            + f'access to * by dn.exact="{READER[0]}" read by * none\n'
            + extra
            + (
                f'overlay ppolicy\nppolicy_default "cn=policy,{BASE}"\nppolicy_use_lockout\n'
                if lockout
                else ""
            )
        )
        ldif = folder / "start.ldif"
        ldif.write_text(self._ldif(lockout) + entries)
        command = [program("slapadd"), "-f", str(self._configuration), "-l", str(ldif)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        self._child: Child | None = None
        self.start()

    @property
    def ldapi(self) -> str:
        """The address of its Unix socket."""
        return f"ldapi://{quote(str(self.folder / 'ldapi'), safe='')}"

    def start(self) -> None:
        """Starts it and waits until both ports answer. ``stats`` (connections, binds, searches) go to the log."""
        urls = (
            f"ldap://127.0.0.1:{self.ports['ldap']}/ ldaps://127.0.0.1:{self.ports['ldaps']}/ {self.ldapi}/"
        )
        command = [program("slapd"), "-d", "stats", "-f", str(self._configuration), "-h", urls]
        self._child = Child(command, self.folder / "slapd.log")
        self._child.wait_for(*self.ports.values())

    def stop(self) -> None:
        """Stops it; ``start`` may follow."""
        if self._child:
            self._child.stop()
            self._child = None

    def logged(self) -> str:
        """The log so far."""
        return (self.folder / "slapd.log").read_text(errors="replace")

    def binds(self, name: str = "") -> int:
        """How many binds arrived so far: of this person, or ("") of anybody, even nameless ones."""
        whose = re.escape(dn(name)) if name else '[^"]*'
        return len(re.findall(rf'BIND dn="{whose}" method=', self.logged()))

    def _ldif(self, lockout: int) -> str:
        entries = [
            f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example",
            f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people",
            f"dn: {READER[0]}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n"
            f"userPassword: {READER[1]}",
        ]
        if lockout:
            entries.append(
                f"dn: cn=policy,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n"
                f"pwdAttribute: userPassword\npwdLockout: TRUE\npwdMaxFailure: {lockout}\npwdLockoutDuration: 0"
            )
        for address, password in ACCOUNTS.items():
            name = address.partition("@")[0]
            entries.append(
                f"dn: {dn(name)}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n"
                f"mail: {address}\nuserPassword: {password}"
            )
        return "\n\n".join(entries) + "\n\n"
