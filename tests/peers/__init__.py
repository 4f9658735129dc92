"""Mail servers, directories and databases that nobody here wrote, started for tests on loopback.

Nothing of the system's own configuration is used or changed: each peer gets a directory of its own, ports of its
own, and ends with the test session. Most need root or their own system user, as the packages make them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/lib/postgresql/15/bin"])

# peer -> files that must be there besides its programs, and the package that brings them
FILES = {
    "roundcube": ("/usr/share/roundcube/plugins/http_authentication", "roundcube-plugins"),
    "sogo": ("/usr/lib/GNUstep/SOGo/ActiveSync.SOGo", "sogo-activesync"),
}
# peer -> (programs, Debian package, needs root)
PROGRAMS = {
    "dovecot": (("dovecot",), "dovecot-imapd", False),
    "postfix": (("postfix", "postconf"), "postfix", True),
    "slapd": (("slapd", "slapadd"), "slapd", False),
    "postgresql": (("initdb", "postgres"), "postgresql-15", False),
    "nginx": (("nginx",), "nginx-core", False),
    "curl": (("curl",), "curl", False),
    "mbsync": (("mbsync",), "isync", False),
    "msmtp": (("msmtp",), "msmtp", False),
    "swaks": (("swaks",), "swaks", False),
    "neomutt": (("neomutt", "tmux"), "neomutt", False),
    "sieve-connect": (("sieve-connect",), "sieve-connect", False),
    "chromium": (("chromium",), "chromium", False),
    "haproxy": (("haproxy",), "haproxy", False),
    "knot": (("knotd", "keymgr"), "knot", False),
    "faketime": (("faketime",), "faketime", False),
    "openssl": (("openssl",), "openssl", False),
    "pdftotext": (("pdftotext",), "poppler-utils", False),
    "roundcube": (("php-fpm8.2", "nginx"), "roundcube-core", False),
    "sogo": (("sogod", "memcached", "nginx"), "sogo", True),
}


def program(name: str) -> str:
    """The path of a program, also of those in sbin. Raises LookupError."""
    found = shutil.which(name, path=_PATH)
    if not found:
        raise LookupError(f"{name} is not installed")
    return found


def missing_programs(peer: str) -> str:
    """Why this peer cannot be had here, as a sentence; empty where it can."""
    programs, package, root = PROGRAMS[peer]
    for name in programs:
        if not shutil.which(name, path=_PATH):
            return f"{peer}: {name} is not installed (Debian package {package})"
    path, package = FILES.get(peer, ("", ""))
    if path and not Path(path).exists():
        return f"{peer}: {path} is not there (Debian package {package})"
    if root and os.geteuid() != 0:
        return f"{peer}: starting it needs root"
    return ""
