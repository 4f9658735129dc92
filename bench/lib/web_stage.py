"""What is measured at the web doors, each before the same backend over verified TLS, one worker each.

The backend is nginx (and for uploads ``web_sink.py``). Before it: nginx alone, nginx with ``auth_request``, Envoy with
ext_authz, Caddy with ``forward_auth`` (all three with the same ``decision_service.py``), and our doors.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gambeson.guard.core.web.basic import basic
from gambeson.guard.edge.web.people import SESSION_COOKIE
from peers.browser import AGENT, Browser, Codes, bind, sign_in
from peers.gambeson import SOURCE, Gambeson
from peers.pki import Pki

from .contestants import Contestant, free_port, wait_for
from .envoy_config import bootstrap

HERE = Path(__file__).resolve().parent
HOST, UPLOADS, PORTAL, DOMAIN = "localhost", "up.bench.example", "login.bench.example", "bench.example"
PERSON, PASSWORD = f"anna@{DOMAIN}", "a password for the portal"
PHOTO = f"/owa/service.svc/s/GetPersonaPhoto?email=anna%40{DOMAIN}&UA=0&size=HR96x96"
SYNC = f"/Microsoft-Server-ActiveSync?Cmd=Sync&User=anna%40{DOMAIN}&DeviceId=BENCH0001&DeviceType=iPhone"
DOWN = "/owa/service.svc/s/GetFileAttachment?id=AAMkAGVhNzE&X-OWA-CANARY=c9pQr2"
UP = "/owa/service.svc/s/UploadAttachment?id=AAMkAGVhNzE&UA=0&X-OWA-CANARY=c9pQr2"
OURS, NGINX, PLAIN = "Gambeson", "nginx + auth_request", "nginx plain"
ENVOY, CADDY = "Envoy + ext_authz", "Caddy + forward_auth"
LARGE = 100_000_000  # octets
_USERS = '[users]\ndoors = "nobody"\nkeeper = "daemon"\nworker = "mail"\nconsole = "www-data"\n'
# What a Sync of an iPhone that has nothing new looks like on the wire (WBXML).
_NOTHING_NEW = bytes.fromhex("03016a00455c4f4b033132333435000152033500015e030001010101")


@dataclass
class Ask:
    """One kind of request."""

    name: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    many: bool = False  # each request has another address


def found(name: str) -> str:
    """The path of a program: from the environment (ENVOY_BIN, CADDY_BIN), beside this Python, or in PATH; empty for
    none."""
    beside = str(Path(sys.executable).parent)
    return (
        os.environ.get(f"{name.upper()}_BIN", "")
        or shutil.which(name, path=f"{beside}:/usr/sbin:/usr/bin")
        or ""
    )


def missing() -> str:
    """Why nothing can be compared here; empty when it can."""
    for program in ("nginx", "wrk"):
        if not found(program):
            return f"{program} is not installed (Debian: {program})"
    return ""


@dataclass
class WebStage:
    """Everything that runs during a measurement, under one temporary folder."""

    folder: Path
    contestants: list[Contestant] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> WebStage:
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def process(self, name: str, command: list[str], port: int, **environment: str) -> int:
        """Start a program that ends with the stage; its process id once it listens."""
        log = self.folder / f"{name}.out"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
            )  # fmt: skip

        def stop() -> None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        self._stack.callback(stop)
        wait_for(port, process, log)
        return process.pid

    def _set_up(self) -> None:
        pki = Pki(self.folder / "pki")
        issued = pki.issue(HOST, UPLOADS, PORTAL, "mx.bench.example", "127.0.0.1")
        self.certificate, self.key, self.ca = str(issued.certificate), str(issued.key), str(pki.ca)
        Path(self.key).chmod(0o644)
        for part in (self.folder / "pki", *(self.folder / "pki").iterdir()):
            part.chmod(part.stat().st_mode | 0o055 if part.is_dir() else 0o644)
        self._backend()
        self.gambeson = self._start_gambeson()
        self._people()
        self.given = self.folder / "known.json"
        self.renew()
        self._decision()
        self.contestants += [self._nginx(PLAIN, ""), self._nginx(NGINX, self._auth_request)]
        for name, start in ((ENVOY, self._envoy), (CADDY, self._caddy)):
            program = found(name.partition(" ")[0].lower())
            if program:
                self.contestants.append(start(program))
            else:
                self.absent[name] = "not installed here"
        self.contestants.append(
            Contestant(OURS, self.gambeson.port("https"), [], self._our_parts(), ("doors",))
        )

    # -- behind

    def _backend(self) -> None:
        self.backend, self.sink = free_port(), free_port()
        www = self.folder / "www"
        www.mkdir()
        with (www / "large").open("wb") as file:
            file.write(os.urandom(LARGE))
        config = self._nginx_config(
            "backend",
            f"""
  server {{ listen 127.0.0.1:{self.backend} ssl backlog=1024; root {www};
    default_type application/octet-stream; keepalive_timeout 3600s; client_max_body_size 0;
    location / {{ return 200 "{"x" * 1024}"; }}
    location = /owa/ {{ return 200 "{"x" * 1024}";
      add_header Set-Cookie "ClientId=2E7B1C7D0F4A4E3F9C1B; path=/; secure";
      add_header Set-Cookie "X-OWA-CANARY=c9pQr2xkW0mJ8f5tVbN1yA7uEoZ4sLhD; path=/; secure"; }}
    location = /owa/service.svc/s/GetFileAttachment {{ try_files /large =404; }} }}
""",
        )
        self.process("backend", [found("nginx"), "-c", config], self.backend)
        sink = [sys.executable, str(HERE / "web_sink.py"), str(self.sink), self.certificate, self.key]
        self.process("sink", sink, self.sink)

    def _nginx_config(self, name: str, http: str) -> str:
        path = self.folder / f"{name}.conf"
        temporary = self.folder / f"{name}-temporary"
        temporary.mkdir(mode=0o777)
        temporary.chmod(0o777)
        path.write_text(
            f"""
worker_processes 1; worker_rlimit_nofile 20000; daemon off;
pid {self.folder}/{name}.pid; error_log {self.folder}/{name}.log warn;
events {{ worker_connections 10000; }}
http {{
  access_log off; server_tokens off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {temporary}/body; proxy_temp_path {temporary}/proxy; fastcgi_temp_path {temporary}/fastcgi;
  uwsgi_temp_path {temporary}/uwsgi; scgi_temp_path {temporary}/scgi;
  ssl_certificate {self.certificate}; ssl_certificate_key {self.key};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
{http}
}}
"""
        )
        return str(path)

    # -- the service beside the others

    def _decision(self) -> None:
        self.decision = free_port()
        service = [sys.executable, str(HERE / "decision_service.py"), str(self.decision), str(self.given)]
        self.service = self.process("decision", service, self.decision)

    def renew(self) -> None:
        """Fresh session cookies: one lives for 15 minutes."""
        self.cookie, self.upload_cookie = (self._cookies(host) for host in (HOST, UPLOADS))
        sessions = {cookie.partition("=")[2].partition(";")[0]: PERSON for cookie in (self.cookie,)}
        self.given.write_text(json.dumps({"sessions": sessions, "devices": {self.device_header: PERSON}}))
        if hasattr(self, "service"):
            os.kill(self.service, signal.SIGHUP)

    def _cookies(self, host: str) -> str:
        """The Cookie header of a browser that is signed in at a host; the session's own comes first."""
        jar = self.browser.jar.setdefault(host, {})
        jar.pop(SESSION_COOKIE, None)
        page = self.browser.get(self.browser.url(host, "/owa/"), Sec_Fetch_Site="none")
        if page.status != 200:
            raise RuntimeError(f"{host}: {page.status}: {page.text[:500]}")
        cookies = {SESSION_COOKIE: jar[SESSION_COOKIE], **jar, "PrivateComputer": "true"}
        return "; ".join(f"{name}={value}" for name, value in cookies.items())

    # -- the others

    @property
    def _auth_request(self) -> str:
        return """
    location = /_decision { internal; proxy_pass http://decision; proxy_pass_request_body off;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header Content-Length ""; proxy_set_header X-Original-Uri $request_uri; }
"""

    def _nginx(self, name: str, decision: str) -> Contestant:
        port = free_port()
        word = "nginx-decided" if decision else "nginx-plain"
        ask = "auth_request /_decision; auth_request_set $user $upstream_http_x_user;" if decision else ""
        user = "proxy_set_header X-User $user;" if decision else ""
        headers = f"""
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; {user}
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.ca}; proxy_ssl_name localhost;
      proxy_ssl_server_name on; proxy_request_buffering off; proxy_read_timeout 3900s;"""
        service = (
            f"upstream decision {{ server 127.0.0.1:{self.decision}; keepalive 128; keepalive_requests 1000000000; }}"
            if decision
            else ""
        )
        config = self._nginx_config(
            word,
            f"""
  {service}
  upstream backend {{ server 127.0.0.1:{self.backend}; keepalive 128; keepalive_requests 1000000000; }}
  upstream sink {{ server 127.0.0.1:{self.sink}; keepalive 16; keepalive_requests 1000000000; }}
  client_max_body_size 0;
  server {{ listen 127.0.0.1:{port} ssl backlog=1024;
    location / {{ {ask} {headers} proxy_pass https://backend; }}
    location = {UP.partition("?")[0]} {{ {ask} {headers} proxy_pass https://sink; }}
    {decision} }}
""",
        )
        pid = self.process(word, [found("nginx"), "-c", config], port)
        parts = {"nginx": pid, **({"decision service": self.service} if decision else {})}
        self.versions["nginx"] = _version([found("nginx"), "-v"], "nginx version: ")
        return Contestant(name, port, [], parts, ("nginx",))

    def _envoy(self, program: str) -> Contestant:
        port = free_port()
        config = self.folder / "envoy.json"
        config.write_text(
            json.dumps(
                bootstrap(
                    port, self.backend, self.sink, self.decision,
                    upload=UP.partition("?")[0], certificate=self.certificate, key=self.key, ca=self.ca,
                )
            )
        )  # fmt: skip
        command = [program, "-c", str(config), "--concurrency", "1", "-l", "warn", "--disable-hot-restart"]
        pid = self.process("envoy", command, port)
        self.versions["envoy"] = "Envoy " + _version([program, "--version"], "", word=-1).split("/")[1]
        return Contestant(ENVOY, port, [], {"envoy": pid, "decision service": self.service}, ("envoy",))

    def _caddy(self, program: str) -> Contestant:
        port = free_port()
        config = self.folder / "Caddyfile"
        upstream = f"""{{
      header_up Host {{host}}
      transport http {{
        tls_trust_pool file {self.ca}
        tls_server_name localhost
        versions 1.1
        keepalive_idle_conns_per_host 128
      }}
    }}"""
        config.write_text(
            f"""
{{
  admin off
  auto_https off
  persist_config off
  log {{
    level ERROR
  }}
  servers {{
    protocols h1
  }}
}}
https://{HOST}:{port} {{
  bind 127.0.0.1
  tls {self.certificate} {self.key}
  forward_auth 127.0.0.1:{self.decision} {{
    uri /check
    copy_headers X-User
  }}
  handle {UP.partition("?")[0]} {{
    reverse_proxy https://127.0.0.1:{self.sink} {upstream}
  }}
  handle {{
    reverse_proxy https://127.0.0.1:{self.backend} {upstream}
  }}
}}
"""
        )
        command = [program, "run", "--config", str(config), "--adapter", "caddyfile"]
        pid = self.process("caddy", command, port, GOMAXPROCS="1", HOME=str(self.folder))
        self.versions["caddy"] = "Caddy " + _version([program, "version"], "", word=0)
        return Contestant(CADDY, port, [], {"caddy": pid, "decision service": self.service}, ("caddy",))

    # -- ours

    def _start_gambeson(self) -> Gambeson:
        common = f'product = "exchange"\nca = "{self.ca}"\nserver_name = "localhost"\n'
        config = f"""
[doors]
hostname = "mx.bench.example"
max_sessions_per_source = 5000
[tls]
certificate = "{self.certificate}"
key = "{self.key}"
[portal]
host = "{PORTAL}"
[[site]]
name = "exchange"
hosts = ["{HOST}"]
address = "https://127.0.0.1:{self.backend}"
{common}
[[site]]
name = "uploads"
hosts = ["{UPLOADS}"]
address = "https://127.0.0.1:{self.sink}"
{common}
"""
        config = (_USERS if os.geteuid() == 0 else "") + config
        return self._stack.enter_context(Gambeson(self.folder / "data", config=config))

    def _people(self) -> None:
        """A person with a password and an authenticator app, and her phone."""
        ours = self.gambeson
        ours.run("org", "add", "Bench", "--domain", DOMAIN, "--enrolment-url", f"https://{PORTAL}/enrol")
        ours.run("account", "add", PERSON)
        ours.run("account", "password", PERSON, "--password-file", "-", stdin=PASSWORD + "\n")
        ours.run("account", "seal-password", PERSON, "--password-file", "-", stdin="upstream-password\n")
        code = str(ours.json("account", "code", PERSON)["code"])
        codes: Codes = bind(Browser(ours.port("https"), self.ca), PORTAL, PERSON, PASSWORD, code)
        self.browser = Browser(ours.port("https"), self.ca)
        page = sign_in(self.browser, self.browser.url(HOST, "/owa/"), PERSON, PASSWORD, codes)
        if page.status != 200:
            raise RuntimeError(f"sign-in ended with {page.status}: {page.text[:500]}")
        secret = ours.enrol(PERSON, "iPhone", "eas,ews")
        self.device_header = basic(PERSON, secret)

    def _our_parts(self) -> dict[str, int]:
        children = self.gambeson.children()
        assert self.gambeson.process is not None
        parts = {role: children[role] for role in ("doors", "keeper", "worker", "console")}
        return {**parts, "only supervisor": self.gambeson.process.pid}

    # -- what is asked

    def browsing(self, many: bool = False) -> Ask:
        """A page of OWA asks for something small, with the session cookie."""
        headers = {
            "User-Agent": AGENT,
            "Accept": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
            "Accept-Language": "en-US,en;q=0.5",
            "Accept-Encoding": "gzip, deflate, br, zstd",
            "Referer": f"https://{HOST}/owa/",
            "Sec-Fetch-Dest": "image",
            "Sec-Fetch-Mode": "no-cors",
            "Sec-Fetch-Site": "same-origin",
            "Cookie": self.cookie,
        }
        name = "a browser, another address each time" if many else "a browser, the same request again"
        return Ask(name, "GET", PHOTO, headers, many=many)

    def browsing_on(self) -> Ask:
        """The same, each time with another address."""
        return self.browsing(True)

    def syncing(self) -> Ask:
        """A phone asks whether there is something new, with its device secret as Basic password."""
        headers = {
            "User-Agent": "Apple-iPhone16C2/2301.307",
            "Accept": "*/*",
            "Accept-Language": "en-GB,en;q=0.9",
            "Accept-Encoding": "gzip, deflate, br",
            "Content-Type": "application/vnd.ms-sync.wbxml",
            "MS-ASProtocolVersion": "16.1",
            "X-MS-PolicyKey": "3942919513",
            "Authorization": self.device_header,
        }
        return Ask("a phone, the same Sync again", "POST", SYNC, headers, _NOTHING_NEW)


def _version(command: list[str], prefix: str, word: int | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    text = (done.stdout + done.stderr).strip().removeprefix(prefix)
    return text if word is None else text.split()[word]


def common(ask: Ask, contestant: Contestant) -> dict[str, Any]:
    """An ask as our client's argument. ``Host`` has the port, as a browser sends it."""
    return {
        "port": contestant.port,
        "method": ask.method,
        "target": ask.target,
        "sni": HOST,
        "headers": {"Host": f"{HOST}:{contestant.port}", **ask.headers},
        "body": len(ask.body),
    }
