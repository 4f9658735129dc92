"""The faults of servers: mail doors, TLS and certificates, web pages, Exchange, and those that misbehave."""

from __future__ import annotations

from .addresses import EXCHANGE, HOSTILE, MAIL, SMTP, WEB_PAGES, WEB_TLS
from .fault import Fault, seeded, unknown

# What an Exchange of today shows whose doors for programs are shut.
_SHUT = (
    "end_of_life supported, exchange_build newest, known_exploited setting, legacy_web closed, "
    "version_disclosure version, web_password closed"
)


_IMAP = ("bare_password", "legacy_doors", "plaintext_signin")
_SMTP = ("bare_password", "dane", "plaintext_signin", "smtp_starttls")
_SWEEP = ("certificate", "certificate_key", "tls_ciphers", "tls_versions")
_WEB = ("admin_pages", "web_password")


def _door(name: str, at: str, expected: str, label: str = "imap") -> Fault:
    """One more host, with one door."""
    return seeded(name, expected, puts=(f"{label} A {at}",))


def _smtp(name: str, at: str, expected: str, silent: str = "") -> Fault:
    """Another first mail host."""
    return seeded(name, expected, drops=("mx1 A",), puts=(f"mx1 A {at}",), silent=silent)


def _tls(name: str, expected: str) -> Fault:
    """One more host for programs, with HTTPS."""
    return _door(f"https-{name}", WEB_TLS[name], expected, "autoconfig")


def _page(name: str, expected: str) -> Fault:
    """One more host with web pages."""
    return _door(f"page-{name}", WEB_PAGES[name], expected, "webmail")


def _exchange(name: str, expected: str, *more: str) -> Fault:
    """One more host, at one or several addresses, with what looks like Exchange."""
    puts = tuple(f"owa A {EXCHANGE[each]}" for each in (name, *more))
    return seeded(f"exchange-{name}", expected, puts=puts)


def _hostile(name: str, expected: str, label: str = "imap") -> Fault:
    """One more host, that misbehaves."""
    return _door(f"hostile-{name}", HOSTILE[name], expected, label)


DOORS = (
    _door("imap-clear", MAIL["imap-clear"], "bare_password open, plaintext_signin open, legacy_doors no-tls"),
    _door("imap-optional", MAIL["imap-optional"], "bare_password open, plaintext_signin open"),
    _door("imap-password", MAIL["imap"], "bare_password open"),
    _door("imap-tokens", MAIL["imap-tokens"], ""),
    _door("imaps-password", MAIL["imaps"], "bare_password open"),
    _door("imaps-old-tls", MAIL["imaps-old"], "bare_password open, tls_versions old"),
    _door(
        "pop3-clear",
        MAIL["pop3-clear"],
        "bare_password open, plaintext_signin open, legacy_doors no-tls",
        "pop",
    ),
    _door("pop3-optional", MAIL["pop3-optional"], "bare_password open, plaintext_signin open", "pop"),
    _door("pop3s-password", MAIL["pop3s"], "bare_password open", "pop"),
    _door("sieve-password", MAIL["sieve"], "bare_password open"),
    _door("submission-password", SMTP["submission"], "bare_password open", "smtp"),
    _door("submissions-password", SMTP["submissions"], "bare_password open", "smtp"),
    _door("submission-clear", SMTP["submission-clear"], "bare_password open, plaintext_signin open", "smtp"),
    _door(
        "submission-challenge", SMTP["challenge"], "bare_password open, plaintext_signin challenge", "smtp"
    ),
    _smtp("mx-sign-in", SMTP["sign-in"], "bare_password open"),
    _smtp("mx-no-starttls", SMTP["no-starttls"], "smtp_starttls missing, dane no-tls, mta_sts refused"),
    _smtp("mx-old-tls", SMTP["old-tls"], "tls_versions old-between-servers"),
    _smtp("mx-static-rsa", SMTP["static-rsa"], "tls_ciphers no-secrecy, dane mismatch"),
    _smtp("mx-version", SMTP["told-version"], "version_disclosure version"),
    _smtp("mx-expired", SMTP["expired"], "certificate untrusted-between-servers, mta_sts refused"),
    _smtp("mx-self-signed", SMTP["self-signed"], "certificate untrusted-between-servers, mta_sts refused"),
    _smtp("mx-other-name", SMTP["other-name"], "certificate name-between-servers, mta_sts refused"),
    _smtp("mx-obeys", HOSTILE["obeys"], "starttls_injection obeyed"),
    _smtp("mx-other-key", SMTP["other-key"], "dane mismatch"),
)
TLS = (
    _tls("expired", "certificate expired"),
    _tls("self-signed", "certificate self-signed"),
    _tls("other-name", "certificate wrong-name"),
    _door("https-guess", WEB_TLS["other-name"], "certificate name-of-guess", "webmail"),
    _tls("stranger", "certificate unknown-issuer"),
    _tls("incomplete", "certificate incomplete"),
    _tls("early", "certificate not-yet-valid"),
    _tls("soon", "certificate ends-soon"),
    _tls("no-names", "certificate no-names"),
    _tls("absurd", ""),
    _tls("short-key", "certificate_key short-key"),
    _tls("tiny-key", "certificate_key breakable-key"),
    _tls("sha1", "certificate invalid, certificate_key old-signature"),
    _tls("old-tls", "tls_versions old"),
    _tls("only-old", "tls_versions only-old"),
    _tls("static-rsa", "tls_ciphers no-secrecy"),
    _tls("small-dh", "tls_ciphers weak"),
    _tls("null", "tls_ciphers broken"),
    _tls("rc4", "tls_ciphers weak"),
)
PAGES = (
    _page("no-hsts", "http_plain no-hsts"),
    _page("short-hsts", "http_plain short-hsts"),
    _page("no-redirect", "http_plain no-redirect"),
    _page("form-clear", "http_plain no-redirect, webmail_login clear"),
    _page("roundcube", "webmail_login form"),
    _page("postfixadmin", "admin_pages open"),
    _page("rspamd", "admin_pages open"),
    _page("phpmyadmin", "admin_pages open"),
    _page("version", "version_disclosure version"),
    _page("sign-in-everywhere", ""),
    _page("page-everywhere", ""),
)
EXCHANGES = (
    _exchange(
        "emulator",
        "admin_pages ecp, admin_pages powershell, end_of_life ended, exchange_build behind, http_plain "
        "no-hsts, known_exploited one, known_exploited setting, legacy_web open, version_disclosure "
        "version, web_password basic, webmail_login form",
    ),
    _exchange(
        "old",
        "end_of_life ended, exchange_build old, known_exploited open, legacy_web closed, "
        "version_disclosure version, web_password closed",
    ),
    _exchange(
        "cu-only",
        "end_of_life ended, exchange_build perhaps, known_exploited perhaps, legacy_web closed, "
        "web_password closed",
    ),
    _exchange(
        "ended",
        "end_of_life ended, known_exploited unmended, legacy_web closed, version_disclosure version, "
        "web_password closed",
    ),
    _exchange(
        "farm-one",
        "end_of_life supported, exchange_build mixed, known_exploited one, known_exploited setting, "
        "legacy_web closed, version_disclosure version, web_password closed",
        "farm-two",
    ),
    _exchange("newest", _SHUT),
    _exchange("silent", "known_exploited unseen, legacy_web closed, web_password closed"),
    _page("basic", _SHUT.replace("web_password closed", "web_password basic")),
    _page("powershell", _SHUT + ", admin_pages powershell"),
    _page(
        "rpc",
        _SHUT.replace("legacy_web closed", "legacy_web open").replace("password closed", "password ntlm"),
    ),
    _page("ecp", _SHUT + ", admin_pages ecp"),
)
HOSTILES = (
    _hostile("tarpit", unknown("timeout", *_IMAP)),
    _hostile("garbage", unknown("malformed", *_IMAP)),
    _hostile("endless", unknown("too-long", *_IMAP)),
    _hostile("closing", unknown("rate-limited", *_IMAP)),
    _hostile("http", unknown("malformed", *_IMAP)),
    _hostile("drip", unknown("timeout", *_IMAP)),
    _hostile("busy", unknown("rate-limited", *_IMAP)),
    _hostile("preauth", "bare_password nothing, legacy_doors no-tls"),
    _hostile("https-silent", unknown("timeout", *_SWEEP, *_WEB), "webmail"),
    _hostile("https-plain", f"{unknown('malformed', *_SWEEP)}, {unknown('tls-failed', *_WEB)}", "webmail"),
    _hostile("https-endless", "admin_pages unknown too-long, web_password unknown rate-limited", "webmail"),
    _smtp("hostile-smtp-tarpit", HOSTILE["smtp-tarpit"], unknown("timeout", *_SMTP)),
    _smtp("hostile-smtp-garbage", HOSTILE["smtp-garbage"], unknown("malformed", *_SMTP)),
    _smtp(
        "mx-starttls-fails",
        HOSTILE["starttls-fails"],
        f"smtp_starttls failed, mta_sts refused, {unknown('tls-failed', 'bare_password', 'dane', *_SWEEP)}",
    ),
)
SERVERS = (*DOORS, *TLS, *PAGES, *EXCHANGES, *HOSTILES)
