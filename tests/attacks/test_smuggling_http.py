"""No mail server ever sees a request that the door's decision did not see.

Each case of ``ambiguous_http`` goes through the door on a connection of its own, in one piece and in small ones, to
Debian's nginx and to a Python server that reads as most frameworks do. What the server logs is held against what the
gate was asked and let through: method, path, body length, in the same order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from attacks.ambiguous_http import HIDDEN, cases
from gambeson.guard.core.web.verdict import Answer, Forward, Verdict, WebClient
from gambeson.model.web import Site, WebRequest
from guard.edge.doors import doors, run
from guard.edge.web.webdoors import HTTPS, WEB, Browser, access, site, web_organisation
from peers import program
from peers.process import Child, free_port

NGINX = """
daemon off;
worker_processes 1;
user {user};
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format seen escape=json '{{"at": $connection_requests, "port": $remote_port, "line": "$request", '
    '"length": "$http_content_length", "host": "$http_host", "case": "$http_x_case", '
    '"ours": "$http_x_gambeson_account"}}';
  access_log {folder}/access.log seen;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  underscores_in_headers on;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{sink}; proxy_http_version 1.1; }}
  }}
  server {{ listen 127.0.0.1:{sink}; access_log off; location / {{ return 200 "ok\\n"; }} }}
}}
"""


class _Handler(BaseHTTPRequestHandler):
    """As frameworks do: a Content-Length is read, chunks are read, headers in any writing."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, object]]

    def _serve(self) -> None:
        length = 0
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                length += len(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                pass
        else:
            length = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self.server.seen.append(  # type: ignore[attr-defined]
            {
                "line": self.requestline,
                "length": length,
                "host": self.headers.get("Host"),
                "case": self.headers.get("X-Case"),
                "headers": [k.lower().replace("_", "-") for k in self.headers],
            }
        )
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok\n")

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Recording:
    """A gate that names each case's requests to the server, so that both lists can be held side by side."""

    def __init__(self, here: Site) -> None:
        self.site = here
        self.case = ""
        self.let_through: list[WebRequest] = []

    def judge(self, request: WebRequest, client: WebClient) -> Verdict:
        if request.canonical.startswith("/no"):
            return Answer(403, body=b"no\n")
        self.let_through.append(request)
        return Forward(self.site, access(), headers=(("x-case", self.case),), idle=5.0)


async def converse(port: int) -> tuple[dict[str, list[WebRequest]], dict[str, bytes]]:
    """Send every case. Returns what the gate let through, and what the client saw, by case."""
    here = site(port)
    at = await doors(web_organisation(here), listeners=HTTPS, web=WEB)
    through: dict[str, list[WebRequest]] = {}
    answers: dict[str, bytes] = {}
    wanted = [(f"{n}-{pieces}", octets, pieces) for n, (_, octets) in enumerate(cases()) for pieces in (1, 7)]
    gates: dict[int, Recording] = {}

    class Choosing:
        """One gate a client port: cases run side by side."""

        def judge(self, request: WebRequest, client: WebClient) -> Verdict:
            return gates[client.port].judge(request, client)

    at.server.door.gate = Choosing()
    limit = asyncio.Semaphore(24)

    async def one(name: str, octets: bytes, pieces: int) -> None:
        async with limit:
            browser = await Browser.connect(at.ports["https"])
            gate = Recording(here)
            gate.case = name
            gates[browser.writer.get_extra_info("sockname")[1]] = gate
            answers[name] = await talk(browser, octets, pieces)
            through[name] = gate.let_through

    await asyncio.gather(*(one(*each) for each in wanted))
    await at.server.stop()
    assert at.events("door.web.trouble") == []
    return through, answers


async def talk(browser: Browser, octets: bytes, pieces: int) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError, OSError):
        size = max(1, -(-len(octets) // pieces))
        for at in range(0, len(octets), size):
            browser.send(octets[at : at + size])
            if pieces > 1:
                await asyncio.sleep(0.002)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.4):
                while data := await browser.reader.read(65536):
                    answer += data
    browser.writer.transport.abort()
    return answer


def check(seen: dict[str, list[tuple[str, int | None]]], through: dict[str, list[WebRequest]]) -> None:
    """What the server saw of each case is what was let through, from the first on (a client that left early may have
    kept the last from getting there)."""
    names = dict(enumerate(name for name, _ in cases()))
    assert "" not in seen, "a request came that no verdict named"
    for case, requests in seen.items():
        let = through[case]
        label = names[int(case.partition("-")[0])]
        assert len(requests) <= len(let), label
        for (line, length), request in zip(requests, let, strict=False):
            target = request.path + (f"?{request.query}" if request.query else "")
            assert line == f"{request.method} {target} HTTP/1.1", label
            assert length in (None, 0) or request.body, label
    assert len(seen) > 50, "hardly anything reached the server: the suite shows nothing"


def hidden_only_where_it_was_a_request(through: dict[str, list[WebRequest]]) -> None:
    """Where the octets of ``HIDDEN`` were taken for a request at all, nothing in the case made them another's body."""
    for n, (label, octets) in enumerate(cases()):
        for pieces in (1, 7):
            for request in through[f"{n}-{pieces}"]:
                if request.path == "/hidden":
                    assert octets.endswith(HIDDEN), label


def test_enough_is_tried() -> None:
    assert len(cases()) >= 200
    assert len({octets for _, octets in cases()}) >= 200


def test_whole_or_in_pieces_is_the_same() -> None:
    """The door's reading does not depend on how the octets were cut."""
    seen: list[dict[str, object]] = []
    with python_server(seen) as port:
        out: list[dict[str, list[WebRequest]]] = []

        async def main() -> None:
            through, _ = await converse(port)
            out.append(through)

        run(main, 120)
    (through,) = out
    for n, (label, _) in enumerate(cases()):
        whole, cut = ([(r.method, r.path, r.query) for r in through[f"{n}-{p}"]] for p in (1, 7))
        assert whole == cut or cut == whole[: len(cut)], label
    by_case: dict[str, list[tuple[str, int | None]]] = {}
    for each in seen:
        by_case.setdefault(str(each["case"] or ""), []).append((str(each["line"]), int(str(each["length"]))))
        assert "x-gambeson-account" not in list(each["headers"])  # type: ignore[call-overload]
        assert each["host"] in ("mail.example.org", "mail.example.org:8443")
    check(by_case, through)
    hidden_only_where_it_was_a_request(through)


@contextlib.contextmanager
def python_server(seen: list[dict[str, object]]):  # type: ignore[no-untyped-def]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.seen = seen  # type: ignore[attr-defined]
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.peer("nginx")
def test_nginx_sees_nothing_that_was_not_decided(tmp_path: Path) -> None:
    port, sink = free_port(), free_port()
    user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, sink=sink, user=user))
    nginx = Child(
        [program("nginx"), "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)], tmp_path / "out"
    )
    try:
        nginx.wait_for(port)
        out: list[dict[str, list[WebRequest]]] = []

        async def main() -> None:
            through, _ = await converse(port)
            out.append(through)

        run(main, 120)
    finally:
        nginx.stop()
    by_case: dict[str, list[tuple[str, int | None]]] = {}
    for entry in (tmp_path / "access.log").read_text().splitlines():
        each = json.loads(entry)
        assert each["ours"] == ""
        by_case.setdefault(each["case"], []).append((each["line"], int(each["length"] or 0)))
    check(by_case, out[0])
    hidden_only_where_it_was_a_request(out[0])
