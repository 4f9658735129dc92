"""Pages asked of web servers: a real nginx, and servers that do everything a web server should not."""

from __future__ import annotations

import asyncio
import base64
import shutil
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assess.tls_peers import NOW, Issued, issue
from gambeson.assess.core.doors import Protocol
from gambeson.assess.core.unknown import Cause
from gambeson.assess.core.web import Page
from gambeson.assess.edge import web_probe
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.manners import Manners
from gambeson.assess.edge.reference import all_asks
from gambeson.assess.edge.web_probe import probe_pages
from peers.nginx import configuration
from peers.process import Child, free_port

HOST = "mail.example.org"
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def root() -> Issued:
    return issue("Root of the tests", authority=True)


@pytest.fixture(scope="module")
def chain(root: Issued, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return issue(HOST, root, HOST).write(tmp_path_factory.mktemp("tls"))


async def pages(
    port: int, root: Issued, *, host: str = HOST, protocol: Protocol = Protocol.HTTPS, seconds: float = 30.0
) -> dict[str, Page]:
    manners = Manners(seconds, gap=0.0)
    authorities = Authorities(root.pem)
    found = await probe_pages(host, "127.0.0.1", port, protocol, manners, authorities, NOW.timestamp() + 60)
    return {page.purpose: page for page in found}


@asynccontextmanager
async def server(behaviour: Behaviour, chain: Path | None) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.transport.abort()

    context = None
    if chain is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def look(behaviour: Behaviour, chain: Path, root: Issued, **more: float) -> dict[str, Page]:
    async def run() -> dict[str, Page]:
        async with server(behaviour, chain) as port:
            return await pages(port, root, **more)

    return asyncio.run(run())


# -- nginx ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nginx(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("web")
    (folder / "nginx").mkdir()
    log, port, plain = folder / "log", free_port(), free_port()
    inside = f"""
  server {{
    listen 127.0.0.1:{plain};
    return 301 https://$host$request_uri;
  }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {chain};
    ssl_certificate_key {chain};
    add_header Strict-Transport-Security "max-age=31536000" always;
    location = / {{ default_type text/html; return 200 "<form><input name=p type=password></form>"; }}
    location = /EWS/Exchange.asmx {{ add_header WWW-Authenticate 'Basic realm="x", NTLM' always; return 401; }}
    location / {{ return 404; }}
  }}
"""
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, log, inside))
    child = Child([program, "-e", str(folder / "error"), "-c", str(file)], folder / "out")
    child.wait_for(port, plain)
    yield port, plain, log
    child.stop()


def test_what_nginx_has_is_seen(nginx: tuple[int, int, Path], root: Issued) -> None:
    port, _, log = nginx
    found = asyncio.run(pages(port, root))
    assert found["root"].status == 200
    assert b"type=password" in found["root"].body
    assert found["root"].trusted is True
    assert found["root"].header("strict-transport-security") == "max-age=31536000"
    assert found["ews"].schemes == ("basic", "ntlm")
    assert found["owa"].status == 404
    assert found["nowhere"].status == 404
    asked = log.read_text()
    assert {line.split()[0] for line in asked.splitlines()} <= {"GET", "OPTIONS", "HEAD"}
    assert asked.count('user="-"') == len(asked.splitlines())


def test_plain_http_is_asked_for_its_root_only(nginx: tuple[int, int, Path], root: Issued) -> None:
    found = asyncio.run(pages(nginx[1], root, protocol=Protocol.HTTP))
    assert set(found) == {"root"}
    assert found["root"].status == 301
    assert found["root"].header("location").startswith("https://")
    assert found["root"].trusted is None


def test_a_certificate_for_another_name_is_not_believed(nginx: tuple[int, int, Path], root: Issued) -> None:
    found = asyncio.run(pages(nginx[0], root, host="webmail.example.org"))
    assert found["root"].trusted is False


def test_a_policy_is_asked_only_where_it_belongs(nginx: tuple[int, int, Path], root: Issued) -> None:
    assert "mta-sts" not in asyncio.run(pages(nginx[0], root))
    assert "mta-sts" in asyncio.run(pages(nginx[0], root, host="mta-sts.example.org"))


# -- hostile servers --------------------------------------------------------------------------------------------


async def _head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def test_an_endless_body_is_cut(chain: Path, root: Issued) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    found = look(behave, chain, root)
    assert all(page.cut and len(page.body) == web_probe.MOST_BODY for page in found.values())


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"220 mail.example.org ESMTP Postfix\r\n", Cause.MALFORMED),
        (b"\x00\xff" * 100, Cause.MALFORMED),
        (b"", Cause.RATE_LIMITED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Cause.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Cause.MALFORMED),
    ],
)
def test_what_is_not_http_is_unknown_with_its_cause(
    chain: Path, root: Issued, answer: bytes, cause: Cause
) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(answer)
        await writer.drain()

    found = look(behave, chain, root)
    first = found["nowhere"]
    assert first.status == 0
    assert first.unknown is not None
    assert first.unknown.cause is cause
    assert all(page.unknown for page in found.values())


def test_an_endless_head_is_given_up(chain: Path, root: Issued) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Header: " + b"y" * 1000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)  # drain does not wait while there is room

    found = look(behave, chain, root)
    assert all(page.status == 0 and page.unknown for page in found.values())


def test_a_server_that_drips_is_left_alone(
    chain: Path, root: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_probe, "PATIENCE", 0.3)
    asked = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await _head(reader))
        for octet in b"HTTP/1.1 200 OK\r\n" * 100:
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0.1)

    found = look(behave, chain, root)
    assert len(asked) == web_probe.TOO_SLOW
    assert found["nowhere"].unknown is not None
    assert found["nowhere"].unknown.cause is Cause.TIMEOUT


def test_a_server_that_closes_each_kept_connection_is_asked_on_a_new_one(chain: Path, root: Issued) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")  # keeps it, in words
        await writer.drain()

    found = look(behave, chain, root)
    assert {page.status for page in found.values()} == {404}


def test_an_informational_answer_is_passed_over(chain: Path, root: Issued) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 204 No Content\r\nX-A: b\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()

    found = look(behave, chain, root)
    assert {page.status for page in found.values()} == {204}
    assert found["root"].headers[0] == ("x-a", "b")


def test_control_characters_of_headers_are_made_fit_to_show(chain: Path, root: Issued) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\nServer: evil\x1b[2Jname\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()

    found = look(behave, chain, root)
    assert "\x1b" not in found["root"].header("server")


def test_ntlm_tells_windows_build_and_is_asked_once(chain: Path, root: Issued) -> None:
    heads: list[bytes] = []
    target = "CORP".encode("utf-16-le")
    challenge = (
        b"NTLMSSP\0"
        + struct.pack("<I", 2)
        + struct.pack("<HHI", len(target), len(target), 56)
        + struct.pack("<I", 0x02000001)
        + b"\x01" * 8
        + bytes(8)
        + struct.pack("<HHI", 0, 0, 56 + len(target))
        + struct.pack("<BBHI", 10, 0, 17763, 0x0F000000)
        + target
    )

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await _head(reader)
            heads.append(head)
            offered = b"NTLM"
            if b"\r\nAuthorization: NTLM " in head:
                offered = b"NTLM " + base64.b64encode(challenge)
            writer.write(
                b"HTTP/1.1 401 No\r\nWWW-Authenticate: " + offered + b"\r\nContent-Length: 0\r\n\r\n"
            )
            await writer.drain()

    found = look(behave, chain, root)
    tokens = [head for head in heads if b"Authorization" in head]
    assert len(tokens) == 1
    told = [page.ntlm for page in found.values() if page.ntlm]
    assert [(ntlm.windows, ntlm.netbios_domain) for ntlm in told] == [("10.0.17763", "CORP")]


def test_the_end_of_the_look_is_said(chain: Path, root: Issued) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    found = look(behave, chain, root, seconds=0.5)
    assert found["nowhere"].unknown is not None
    assert found["nowhere"].unknown.cause is Cause.DEADLINE


def test_no_tls_at_all_is_said(root: Issued) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def run() -> dict[str, Page]:
        async with server(behave, None) as port:
            return await pages(port, root)

    found = asyncio.run(run())
    assert {page.unknown.cause for page in found.values() if page.unknown} == {Cause.TLS_FAILED}


def test_nothing_is_asked_that_changes_anything() -> None:
    for ask in all_asks():
        assert ask.method in ("GET", "HEAD", "OPTIONS")
        assert ask.path.startswith("/")
        assert ask.path.isascii()
        assert " " not in ask.path


def test_another_protocol_that_nobody_asked_for(chain: Path, root: Issued) -> None:
    async def switching(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx")
        await writer.drain()

    found = look(switching, chain, root)
    causes = {page.unknown.cause for page in found.values() if page.unknown}
    assert causes <= {Cause.MALFORMED, Cause.RATE_LIMITED}
    assert not any(page.status for page in found.values())


def test_a_server_whose_pages_are_all_long_and_different_is_not_read_to_the_end(
    chain: Path, root: Issued
) -> None:
    count = 0

    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while True:
            await reader.readuntil(b"\r\n\r\n")
            count += 1
            body = b"%d" % count + b"x" * 120_000
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    found = look(long, chain, root)
    assert sum(len(page.body) for page in found.values()) < web_probe.MOST_BODIES + web_probe.MOST_BODY
    unread = [page.unknown.cause for page in found.values() if page.unknown]
    assert unread
    assert set(unread) == {Cause.TOO_LONG}


def test_one_long_page_for_everything_is_kept_once(chain: Path, root: Issued) -> None:
    async def same(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 120000\r\n\r\n" + b"x" * 120_000)
            await writer.drain()

    found = look(same, chain, root)
    assert all(page.status == 200 for page in found.values() if page.method == "GET")
    assert len({id(page.body) for page in found.values() if page.method == "GET"}) == 1
