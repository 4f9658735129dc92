"""Which resolvers the machine uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from gambeson.assess.edge.dns_system import system_servers

LOCAL = (("127.0.0.1", 53),)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nameserver 192.0.2.1\n", (("192.0.2.1", 53),)),
        ("# nameserver 192.0.2.9\nsearch example.org\nnameserver\t2001:db8::1 # x\n", (("2001:db8::1", 53),)),
        ("nameserver fe80::1%eth0\n", (("fe80::1%eth0", 53),)),
        (
            "".join(f"nameserver 192.0.2.{n}\n" for n in (1, 1, 2, 3, 4)),
            tuple((f"192.0.2.{n}", 53) for n in (1, 2, 3)),
        ),
        ("nameserver\nnameserver dns.example.org\n", LOCAL),
        ("", LOCAL),
        ("\xff\x00", LOCAL),
    ],
)
def test_resolv_conf(tmp_path: Path, text: str, wanted: object) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(text.encode("latin-1"))
    assert system_servers(path) == wanted


def test_no_file(tmp_path: Path) -> None:
    assert system_servers(tmp_path / "none") == LOCAL
