"""The sweep against real servers: what each takes is found, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import ssl
import subprocess
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from assess.tls_peers import NOW, OAKLEY_2, Issued, issue, s_server
from gambeson.assess.core.tls import TlsFacts, TlsVersion, Trust, Weakness
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.manners import Manners
from gambeson.assess.edge.stream import connected
from gambeson.assess.edge.tls_probe import probe_tls
from peers.process import answers, free_port, wait_until

HOST = "mail.example.org"
AT = NOW.timestamp() + 3600
OLD = ("-cipher", "ALL:@SECLEVEL=0")
ALL_BUT_SSL = {TlsVersion.TLS1_0, TlsVersion.TLS1_1, TlsVersion.TLS1_2, TlsVersion.TLS1_3}


@pytest.fixture(scope="module")
def root() -> Issued:
    return issue("Root of the tests", authority=True)


@pytest.fixture(scope="module")
def between(root: Issued) -> Issued:
    return issue("Between", root, authority=True)


@pytest.fixture(scope="module")
def leaf(between: Issued) -> Issued:
    return issue(HOST, between, HOST, key=rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, leaf: Issued, between: Issued) -> Path:
    return leaf.write(tmp_path_factory.mktemp("chain"), between)


def sweep(port: int, root: Issued, host: str = HOST) -> tuple[TlsFacts, int]:
    """What is found, and how many connections that took."""

    async def run() -> tuple[TlsFacts, int]:
        manners = Manners(30, gap=0)
        opener = partial(connected, "127.0.0.1", port, manners, patience=5)
        facts = await probe_tls(opener, host, manners, AT, Authorities(root.pem))
        return facts, manners.connections

    return asyncio.run(run())


def verdicts(facts: TlsFacts) -> dict[TlsVersion, object]:
    return dict(facts.versions)


def test_a_good_server_costs_seven_connections(
    chain: Path, root: Issued, leaf: Issued, between: Issued
) -> None:
    with s_server(chain, "-cipher", "ECDHE:DHE") as port:
        facts, connections = sweep(port, root)
    assert verdicts(facts) == {
        TlsVersion.SSL3: False,
        TlsVersion.TLS1_0: False,
        TlsVersion.TLS1_1: False,
        TlsVersion.TLS1_2: True,
        TlsVersion.TLS1_3: True,
    }
    assert (facts.weak, facts.untried, facts.unknown) == ((), (), None)
    assert facts.chosen.startswith("TLS_")
    assert [c.der for c in facts.chain] == [leaf.der, between.der]
    assert (facts.trust, facts.trust_detail, facts.name_matches) == (Trust.TRUSTED, "", True)
    assert (facts.chain[0].key, facts.chain[0].bits) == ("RSA", 2048)
    assert connections <= 7


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (("-tls1_3",), {TlsVersion.TLS1_3}),
        (("-tls1_2",), {TlsVersion.TLS1_2}),
        (("-tls1_1", *OLD), {TlsVersion.TLS1_1}),
        (("-tls1", *OLD), {TlsVersion.TLS1_0}),
        (OLD, ALL_BUT_SSL),
        (("-no_tls1_3", "-no_tls1", *OLD), {TlsVersion.TLS1_1, TlsVersion.TLS1_2}),
        # TLS 1.0 is switched on, but no signature is allowed with which it could be spoken.
        (("-cipher", "ALL:@SECLEVEL=1"), {TlsVersion.TLS1_2, TlsVersion.TLS1_3}),
    ],
)
def test_versions(
    chain: Path, root: Issued, leaf: Issued, arguments: tuple[str, ...], taken: set[TlsVersion]
) -> None:
    with s_server(chain, *arguments) as port:
        facts, _ = sweep(port, root)
    assert set(facts.accepted()) == taken
    assert {v for v, told in facts.versions if told is False} >= set(TlsVersion) - taken - {TlsVersion.SSL2}
    assert facts.chain[0].der == leaf.der
    assert facts.trust is Trust.TRUSTED


@pytest.mark.parametrize(
    ("ciphers", "weak"),
    [
        ("ECDHE+AES", ()),
        ("ECDHE+AES:kRSA+AES", (Weakness.STATIC_RSA,)),
        ("ECDHE+AES:AECDH+AES", (Weakness.ANONYMOUS,)),
        ("ECDHE+AES:ECDHE-RSA-NULL-SHA", (Weakness.NULL,)),
        # OpenSSL's ECDHE has suites without encryption in it, once the level lets them through.
        ("ECDHE", (Weakness.NULL,)),
        ("ALL:eNULL", (Weakness.NULL, Weakness.ANONYMOUS, Weakness.STATIC_RSA)),
    ],
)
def test_weak_suites(chain: Path, root: Issued, ciphers: str, weak: tuple[Weakness, ...]) -> None:
    for order in ((), ("-serverpref",)):
        with s_server(chain, "-no_tls1_3", "-cipher", f"{ciphers}:@SECLEVEL=0", *order) as port:
            facts, _ = sweep(port, root)
        assert (facts.weak, facts.untried) == (weak, ())


@pytest.mark.parametrize(("bits", "weak"), [(1024, (Weakness.SMALL_DH,)), (0, ())])
def test_the_group_of_diffie_hellman(
    tmp_path: Path, chain: Path, root: Issued, bits: int, weak: tuple[Weakness, ...]
) -> None:
    group: tuple[str, ...] = ()
    if bits:
        # PKCS #3: a sequence of the prime and the generator
        prime = b"\x02\x81\x81\0" + OAKLEY_2.to_bytes(128, "big")
        der = b"\x30\x81\x87" + prime + b"\x02\x01\x02"
        pem = (
            f"-----BEGIN DH PARAMETERS-----\n{base64.b64encode(der).decode()}\n-----END DH PARAMETERS-----\n"
        )
        (tmp_path / "dh.pem").write_text(pem)
        group = ("-dhparam", str(tmp_path / "dh.pem"))
    with s_server(
        chain, "-cipher", "ECDHE+AES:DHE+AES:@SECLEVEL=0", "-no_tls1", "-no_tls1_1", *group
    ) as port:
        facts, _ = sweep(port, root)
    assert facts.weak == weak


@pytest.mark.parametrize("arguments", [(), ("-tls1_3",), ("-tls1_2",)])
def test_a_missing_intermediate(tmp_path: Path, root: Issued, arguments: tuple[str, ...]) -> None:
    public = issue("Root", organisation="Known authority", authority=True)
    between = issue("Between", public, organisation="Known authority", authority=True)
    alone = issue(HOST, between, HOST).write(tmp_path)
    with s_server(alone, *arguments) as port:
        facts, _ = sweep(port, public)
        strange, _ = sweep(port, root)
    assert (facts.trust, len(facts.chain)) == (Trust.INCOMPLETE, 1)
    assert strange.trust is Trust.UNKNOWN_ISSUER


def test_a_server_that_wants_a_certificate_of_ours(chain: Path, root: Issued) -> None:
    with s_server(chain, "-Verify", "1", "-tls1_2") as port:
        facts, _ = sweep(port, root)
    assert facts.accepted() == (TlsVersion.TLS1_2,)
    assert facts.trust is Trust.TRUSTED


def test_a_certificate_of_ten_thousand_names(tmp_path: Path, root: Issued) -> None:
    """Too much for the library's handshake; our own reading has room for it."""
    names = [f"host{number}.example.org" for number in range(10_000)]
    with s_server(issue(HOST, root, *names, HOST).write(tmp_path)) as port:
        facts, _ = sweep(port, root)
    assert facts.accepted() == (TlsVersion.TLS1_2, TlsVersion.TLS1_3)
    assert len(facts.chain[0].names) == 10_001
    assert (facts.trust, facts.name_matches) == (Trust.TRUSTED, True)


def test_another_name_and_an_address(chain: Path, root: Issued) -> None:
    with s_server(chain) as port:
        assert sweep(port, root, "other.example.org")[0].name_matches is False
        assert sweep(port, root, "127.0.0.1")[0].name_matches is False
        assert sweep(port, root, "")[0].name_matches is None


def test_the_server_name_chooses_the_certificate(tmp_path: Path, chain: Path, root: Issued) -> None:
    second = issue("two", root, "two.example.org").write(tmp_path)
    with s_server(
        chain, "-servername", "two.example.org", "-cert2", str(second), "-key2", str(second)
    ) as port:
        facts, _ = sweep(port, root, "two.example.org")
    assert (facts.name_matches, facts.chain[0].names) == (True, ("two.example.org",))


@pytest.mark.parametrize("arguments", [("rsa:1024", "-sha1"), ("rsa:512", "-md5")])
def test_keys_and_signatures_of_long_ago(tmp_path: Path, root: Issued, arguments: tuple[str, str]) -> None:
    path = tmp_path / "old.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", arguments[0], arguments[1], "-subj", f"/CN={HOST}",
         "-out", str(path), "-keyout", str(tmp_path / "old.key")],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (tmp_path / "old.key").read_bytes())
    with s_server(path, "-cipher", "DEFAULT:@SECLEVEL=0") as port:
        facts, _ = sweep(port, root)
    assert TlsVersion.TLS1_2 in facts.accepted()
    assert facts.trust is Trust.SELF_SIGNED
    assert facts.chain[0].bits == int(arguments[0].removeprefix("rsa:"))
    assert facts.chain[0].signature_hash == arguments[1].removeprefix("-")
    assert facts.name_matches is False  # a common name only
    assert facts.chain[0].names == (HOST,)


@pytest.mark.skipif(not shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), reason="needs nginx")
def test_nginx(tmp_path: Path, chain: Path, root: Issued) -> None:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        f"""
daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {tmp_path}/a; proxy_temp_path {tmp_path}/b; fastcgi_temp_path {tmp_path}/c;
  uwsgi_temp_path {tmp_path}/d; scgi_temp_path {tmp_path}/e;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {chain}; ssl_certificate_key {chain};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE+AESGCM;
  }}
}}
"""
    )
    command = [
        shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "",
        "-c",
        f"{tmp_path}/nginx.conf",
    ]
    process = subprocess.Popen(
        [*command, "-p", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: answers(port), "nginx")
        facts, connections = sweep(port, root)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    assert facts.accepted() == (TlsVersion.TLS1_2, TlsVersion.TLS1_3)
    assert (facts.weak, facts.trust, facts.name_matches) == ((), Trust.TRUSTED, True)
    assert connections <= 6


def test_a_python_server_under_load_of_the_sweep(chain: Path, root: Issued) -> None:
    """All hellos at once, each answered on its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)

    async def run() -> TlsFacts:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            manners = Manners(20, gap=0)
            opener = partial(connected, "127.0.0.1", server.sockets[0].getsockname()[1], manners, patience=5)
            return await probe_tls(opener, HOST, manners, AT, Authorities(root.pem))

    facts = asyncio.run(run())
    assert facts.accepted() == (TlsVersion.TLS1_2, TlsVersion.TLS1_3)
    assert facts.unknown is None
