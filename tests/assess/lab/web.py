"""nginx as the laboratory has it: one instance, each site at an address of its own, with HTTPS and a redirect to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gambeson.assess.core.doors import Protocol
from peers import program
from peers.nginx import configuration
from peers.process import Child

from .addresses import EXCHANGE, POLICIES, POLICY, WEB, WEB_PAGES, WEB_TLS

_HSTS = 'add_header Strict-Transport-Security "max-age=31536000" always;'
_REDIRECT = "return 301 https://$host$request_uri;"
_STRONG = "ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;"
_HELLO = f"{_HSTS} location = / {{ return 200 'hello'; }}"
_WEAK_KEY = "ssl_protocols TLSv1.2; ssl_ciphers ECDHE+AESGCM:@SECLEVEL=0;"
_OLD = "ssl_ciphers ECDHE+AES:@SECLEVEL=0;"
_FORM = '<form><input type="password" name="p"></form>'
_POLICY = "version: STSv1\\nmode: {mode}\\nmx: {mx}\\nmax_age: {age}\\n"
NEWEST = "15.2.2562.46"
NTLM = ("Negotiate", "NTLM")


@dataclass(frozen=True, slots=True)
class Site:
    """``secure`` and ``plain`` stand in the servers for HTTPS and HTTP; ``chain`` names a certificate, ``tls`` is what
    else is said of TLS."""

    address: str
    secure: str = _HELLO
    plain: str = _REDIRECT
    chain: str = "good"
    tls: str = _STRONG


def _page(path: str, body: str) -> str:
    hello = "location = / { return 200 'hello'; }"
    return f"{_HSTS} default_type text/html; {hello} location {path} {{ return 200 '{body}'; }}"


def _asks(path: str, *schemes: str) -> str:
    challenges = "".join(f"add_header WWW-Authenticate '{scheme}' always;" for scheme in schemes)
    return f"location {path} {{ {challenges} add_header X-FEServer EX01 always; return 401; }}"


def _exchange(version: str, *more: str) -> str:
    """What a front end shows of itself where its doors for programs are shut."""
    said = f"add_header X-OWA-Version {version} always;" if version else ""
    return (
        f"{_HSTS} {said} location = / {{ {_HSTS} {said} return 302 https://$host/owa/; }} "
        f"location /owa/ {{ {_HSTS} {said} add_header X-FEServer EX01 always; return 403; }} {' '.join(more)}"
    )


def _policy(mode: str = "enforce", mx: str = "*.$domain", age: int = 604800) -> str:
    body = _POLICY.format(mode=mode, mx=mx, age=age)
    return f'default_type text/plain; location = /.well-known/mta-sts.txt {{ return 200 "{body}"; }}'


def sites(emulator: int, folder: Path) -> list[Site]:
    """Every site. ``emulator`` is where the playground's Exchange listens."""
    tls, pages, exchange, policies = WEB_TLS, WEB_PAGES, EXCHANGE, POLICIES
    weak = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;" + _OLD
    basic = ('Basic realm="mail"',)
    picture = '<link href="/owa/auth/15.2.1544/themes/x.css">'
    owa = f"location /owa/ {{ add_header X-FEServer EX01 always; default_type text/html; return 200 '{picture}'; }}"
    ecp = "https://$host/owa/auth/logon.aspx?url=https%3a%2f%2f$host%2fecp%2f&reason=0"
    proxied = (
        f"proxy_pass http://127.0.0.1:{emulator}; proxy_pass_header Server; proxy_set_header Host $host;"
    )
    programs = _asks("/EWS/", *basic) + _asks("/Microsoft-Server-ActiveSync", *basic)
    return [
        Site(POLICY, _policy()),
        Site(WEB),
        *(
            Site(tls[name], chain=name)
            for name in "expired self-signed other-name stranger incomplete early no-names soon absurd".split()  # noqa: SIM905
        ),
        Site(tls["short-key"], chain="short-key", tls=_WEAK_KEY),
        Site(tls["tiny-key"], chain="tiny-key", tls=_WEAK_KEY),
        Site(tls["sha1"], chain="sha1", tls=_WEAK_KEY),
        Site(tls["null"], chain="rsa", tls="ssl_protocols TLSv1.2; ssl_ciphers ECDHE+AESGCM:ECDHE+NULL:@SECLEVEL=0;"),
        Site(tls["old-tls"], tls=weak),
        Site(tls["only-old"], tls="ssl_protocols TLSv1 TLSv1.1;" + _OLD),
        Site(tls["static-rsa"], chain="rsa", tls="ssl_protocols TLSv1.2; ssl_ciphers ECDHE+AESGCM:kRSA+AES;"),
        Site(
            tls["small-dh"],
            chain="rsa",
            tls=f"ssl_protocols TLSv1.2; ssl_ciphers DHE+AESGCM:ECDHE+AESGCM:@SECLEVEL=0; ssl_dhparam {folder}/dh.pem;",
        ),
        Site(pages["no-hsts"], "location = / { return 200 'hello'; }"),
        Site(pages["short-hsts"], _HELLO.replace("31536000", "86400")),
        Site(pages["no-redirect"], plain="return 200 'hello';"),
        Site(pages["form-clear"], plain=f"default_type text/html; return 200 '{_FORM}';"),
        Site(pages["roundcube"], _page("/roundcube/", f"<title>Roundcube Webmail :: Login</title>{_FORM}")),
        Site(pages["postfixadmin"], _page("/postfixadmin/login.php", f"<title>Postfix Admin</title>{_FORM}")),
        Site(pages["rspamd"], _page("/rspamd/", "<title>Rspamd Web Interface</title>")),
        Site(pages["phpmyadmin"], _page("/phpmyadmin/", "<title>phpMyAdmin</title>")),
        Site(pages["version"], f"{_HELLO} server_tokens on;"),
        Site(pages["basic"], _exchange(NEWEST, programs)),
        Site(pages["powershell"], _exchange(NEWEST, _asks("/PowerShell/", "Negotiate"))),
        Site(pages["rpc"], _exchange(NEWEST, _asks("/rpc/", *NTLM))),
        Site(
            pages["ecp"],
            _exchange(NEWEST, f"location /ecp/ {{ return 302 {ecp}; }}"),
        ),
        Site(pages["sign-in-everywhere"], _HSTS + " add_header WWW-Authenticate 'Basic realm=x' always; return 401;"),
        Site(pages["page-everywhere"], _HSTS + "return 200 'PostfixAdmin, Rspamd and phpMyAdmin are not here';"),
        Site(exchange["emulator"], f"location / {{ {proxied} }}"),
        Site(exchange["old"], _exchange("15.2.1118.7")),
        Site(exchange["cu-only"], f"{_HELLO} {owa}"),
        Site(exchange["ended"], _exchange("15.0.1497.48")),
        Site(exchange["farm-one"], _exchange(NEWEST)),
        Site(exchange["farm-two"], _exchange("15.2.2562.17")),
        Site(exchange["newest"], _exchange(NEWEST)),
        Site(exchange["silent"], _exchange("")),
        Site(policies["testing"], _policy("testing")),
        Site(policies["shut-out"], _policy(mx="mx1.$domain")),
        Site(policies["missing"], "return 404;"),
        Site(policies["off"], _policy("none")),
        Site(policies["short"], _policy(age=3600)),
        Site(policies["broken"], 'location / { return 200 "mode: enforce"; }'),
        Site(policies["redirect"], "return 302 https://elsewhere.test/;"),
    ]  # fmt: skip


class LabNginx:
    """nginx with every site, between ``with`` and its end."""

    def __init__(
        self, folder: Path, certificates: Mapping[str, Path], ports: Mapping[Protocol, int], emulator: int
    ) -> None:
        self._folder, self._ports = folder, ports
        (folder / "nginx").mkdir(parents=True, exist_ok=True)
        inside = "server_tokens off;\nserver_names_hash_bucket_size 128;\nssl_session_cache shared:lab:1m;\n"
        inside += "".join(self._servers(site, certificates) for site in sites(emulator, folder))
        self._file = folder / "nginx.conf"
        self._file.write_text(configuration(folder, folder / "access.log", inside))
        self._child: Child | None = None

    def __enter__(self) -> LabNginx:
        # Certificates that are too weak for today's library are taken all the same.
        environ = {"OPENSSL_CONF": str(self._folder / "openssl.cnf")}
        self._child = Child([program("nginx"), "-c", str(self._file)], self._folder / "log", environ)
        self._child.wait_for(self._ports[Protocol.HTTPS], address=POLICY)
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop()

    def _servers(self, site: Site, certificates: Mapping[str, Path]) -> str:
        chain = certificates[site.chain]
        name = r'server_name "~^[^.]+\.(?<domain>.+)$";'
        return (
            f"server {{ listen {site.address}:{self._ports[Protocol.HTTPS]} ssl; {name} {site.tls}\n"
            f"  ssl_certificate {chain}; ssl_certificate_key {chain}; {site.secure} }}\n"
            f"server {{ listen {site.address}:{self._ports[Protocol.HTTP]}; {name} {site.plain} }}\n"
        )
