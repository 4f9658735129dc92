"""What is measured, each before the same Dovecot: our doors, nginx's mail proxy with a service, Dovecot's proxy.

All have the same certificate (ECDSA P-256), TLS 1.3 without tickets, ask for a client certificate without demanding
one, check a device secret per login, and sign in upstream by a master user. One worker process each.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gambeson.app.enrolment import Wish, with_secret
from gambeson.app.installation import opened
from gambeson.settings import load
from peers.dovecot import Dovecot
from peers.dovecot import program as dovecot_program
from peers.gambeson import SOURCE, Gambeson

from .meter import family

HERE = Path(__file__).resolve().parent
MASTER = ("door", "master-upstream-password")
DOMAIN = "bench.example"
MANY = """
mail_max_userip_connections = 0
default_client_limit = 20000
default_process_limit = 400
service imap-login {
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 10000
  vsz_limit = 1G
}
service imap {
  service_count = 0
  client_limit = 100
  process_limit = 64
}
"""


def missing() -> str:
    """Why the comparison can't be made here; empty when it can."""
    nginx_mail = Path("/usr/lib/nginx/modules/ngx_mail_module.so")
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin") or not nginx_mail.exists():
        return "nginx with its mail module is not installed (Debian: nginx, libnginx-mod-mail)"
    return "" if dovecot_program() else "Dovecot is not installed (Debian: dovecot-imapd)"


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until somebody listens there. Raises RuntimeError with the log."""
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}: {log.read_text() if log.exists() else ''}")


@dataclass
class Contestant:
    """One row. ``parts`` are process ids by name, counted with all below them; ``memory`` names the parts whose
    memory is compared."""

    name: str
    port: int
    accounts: list[tuple[str, str]]
    parts: dict[str, int]
    memory: tuple[str, ...] = ()
    proxy: bool = True

    def pids(self, part: str) -> list[int]:
        """The processes of one part."""
        return [self.parts[part]] if part.startswith("only ") else family(self.parts[part])


@dataclass
class Stage:
    """Everything that runs during a measurement, under one temporary folder."""

    folder: Path
    accounts: int = 200
    certificate: str = ""
    key: str = ""
    ca: str = ""
    device: dict[str, Any] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Stage:
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _set_up(self) -> None:
        names = [f"user{n}@{DOMAIN}" for n in range(self.accounts)]
        self.backend = self._stack.enter_context(
            Dovecot(
                users=dict.fromkeys([*names, f"many@{DOMAIN}"], "account-password"),
                masters=dict([MASTER]),
                plaintext=True,
                extra=MANY,
            )
        )
        root = self.backend.root
        self.certificate, self.key = str(root / "server.pem"), str(root / "server.key")
        self.ca = str(self.backend.ca)
        self.gambeson = self._start_gambeson()
        self.secrets = self._enrol(names)
        self.contestants = [
            Contestant("Dovecot itself", self.backend.ports["imaps"], self._as_master(), {}, proxy=False),
            self._nginx(),
            self._dovecot_proxy(),
            self._ours("Gambeson", self.secrets[: self.accounts * 3 // 4]),
            self._ours("Gambeson, TLS upstream", self.secrets[self.accounts * 3 // 4 :]),
        ]

    @property
    def everybody(self) -> list[tuple[str, str]]:
        """Those whose mail server is reached without TLS, for whom all contestants do the same."""
        return self.secrets[: self.accounts * 3 // 4]

    def _as_master(self) -> list[tuple[str, str]]:
        return [(f"{name}*{MASTER[0]}", MASTER[1]) for name, _ in self.everybody]

    def process(self, name: str, command: list[str], port: int) -> int:
        """Start a program that ends with the stage; its process id once it listens."""
        log = self.folder / f"{name}.out"
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
            )

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

    # -- ours

    def _start_gambeson(self) -> Gambeson:
        password = self.folder / "master-password"
        password.write_text(MASTER[1])
        password.chmod(0o600)
        plain, tls = self.backend.ports["imap"], self.backend.ports["imaps"]
        master = f'sign_in = "master"\nmaster_login = "{MASTER[0]}"\nmaster_password = "file:{password}"\n'
        config = f"""
[doors]
hostname = "localhost"
max_sessions_per_source = 5000
[users]
doors = "nobody"
keeper = "daemon"
worker = "bin"
console = "sys"
[tls]
certificate = "{self.certificate}"
key = "{self.key}"
[[server]]
name = "plain"
imap = "imap+plain://127.0.0.1:{plain}"
{master}
trusts_us = true
[[server]]
name = "tls"
priority = 20
imap = "imaps://127.0.0.1:{tls}"
ca = "{self.ca}"
{master}
trusts_us = true
[[server]]
name = "as-is"
priority = 30
imap = "imap+plain://127.0.0.1:{plain}"
sign_in = "as-is"
trusts_us = true
"""
        gambeson = self._stack.enter_context(Gambeson(self.folder / "data", config=config))
        gambeson.run(
            "org", "add", "Bench", "--domain", DOMAIN, "--enrolment-url", "https://enrol.bench.example"
        )
        return gambeson

    def _enrol(self, names: list[str]) -> list[tuple[str, str]]:
        """Accounts and devices, through the code of the command line but in one process."""
        secrets = []
        assert self.gambeson.config is not None
        with opened(self.gambeson.data, load(self.gambeson.config)) as place:
            organisation = place.organisation("Bench")
            for number, name in enumerate(names):
                server = "plain" if number < self.accounts * 3 // 4 else "tls"
                now = time.time()
                organisation.accounts.create(name, server=server, by="bench", at=now)
                given = with_secret(place, organisation, Wish(name, "Phone", ("imap",)), now)
                secrets.append((name, str(given.document["secret"])))
            organisation.accounts.create(f"many@{DOMAIN}", server="as-is", by="bench", at=time.time())
            place.tell()
        self.device = self.gambeson.json(
            "device", "enrol", f"many@{DOMAIN}", "--name", "Busy", "--doors", "imap", "--certificate",
            "--out", str(self.folder),
        )  # fmt: skip
        return secrets

    def fresh(self, contestant: Contestant) -> None:
        """Start ours anew, so that nothing of an earlier measurement is in its memory."""
        if "doors" in contestant.parts:
            self.gambeson.stop()
            self.gambeson.start()
            for each in self.contestants:
                if "doors" in each.parts:
                    each.parts = self._our_parts()

    def _our_parts(self) -> dict[str, int]:
        children = self.gambeson.children()
        assert self.gambeson.process is not None
        parts = {role: children[role] for role in ("doors", "keeper", "worker")}
        return {**parts, "only supervisor": self.gambeson.process.pid}

    def _ours(self, name: str, accounts: list[tuple[str, str]]) -> Contestant:
        return Contestant(name, self.gambeson.port("imaps"), accounts, self._our_parts(), ("doors",))

    # -- the others

    def _nginx(self) -> Contestant:
        port, service = free_port(), free_port()
        given = self.folder / "auth.json"
        document = {"accounts": self.secrets, "backend": self.backend.ports["imap"], "master": MASTER}
        given.write_text(json.dumps(document))
        config = self.folder / "nginx.conf"
        config.write_text(
            f"""
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
worker_processes 1; worker_rlimit_nofile 20000; daemon off;
pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log warn;
events {{ worker_connections 10000; }}
mail {{
  auth_http 127.0.0.1:{service}/auth; proxy_pass_error_message on;
  ssl_certificate {self.certificate}; ssl_certificate_key {self.key};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
  ssl_verify_client optional; ssl_client_certificate {self.ca}; auth_http_pass_client_cert on;
  imap_auth plain login; imap_capabilities "IMAP4rev1" "LITERAL+" "SASL-IR" "ID"; timeout 1860s;
  server {{ listen 127.0.0.1:{port} ssl backlog=1024; protocol imap; }}
}}
"""
        )
        auth = [sys.executable, str(HERE / "auth_service.py"), str(service), str(given)]
        parts = {"auth service": self.process("auth", [*auth, str(self.folder / "record")], service)}
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
        parts["nginx"] = self.process("nginx", [nginx, "-c", str(config)], port)
        return Contestant("nginx mail + auth service", port, self.everybody, parts, ("nginx",))

    def _dovecot_proxy(self) -> Contestant:
        port, folder = free_port(), Path(self.backend.root) / "proxy"
        folder.mkdir()
        to = f"proxy=y host=127.0.0.1 port={self.backend.ports['imap']} master={MASTER[0]} pass={MASTER[1]}"
        (folder / "users").write_text("".join(f"{n}:{{PLAIN}}{s}::::::{to}\n" for n, s in self.everybody))
        config = folder / "dovecot.conf"
        config.write_text(
            f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{self.certificate}
ssl_key = <{self.key}
ssl_ca = <{self.ca}
ssl_verify_client_cert = yes
ssl_require_crl = no
ssl_options = no_ticket
ssl_dh =
login_trusted_networks = 127.0.0.0/8
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
{MANY}"""
        )
        command = [dovecot_program() or "dovecot", "-F", "-c", str(config)]
        pid = self.process("dovecot-proxy", command, port)
        return Contestant("Dovecot proxy", port, self.everybody, {"dovecot": pid}, ("dovecot",))
