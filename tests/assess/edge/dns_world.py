"""A small world of zones for the resolver's tests: every way to be signed, and every way to be signed wrongly."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from peers.knot import KnotZone

ADDRESSES = "ns IN A 127.0.0.1\n"
COMMON = (
    """\
@ IN MX 10 mx1
@ IN MX 20 MX2
@ IN TXT "v=spf1 " "mx -all"
mx1 IN A 192.0.2.1
mx1 IN AAAA 2001:db8::1
mx2 IN A 192.0.2.2
_25._tcp.mx1 IN TLSA 3 1 1 """
    + "ab" * 32
    + """
www IN CNAME mx1
away IN CNAME host.plain.test.
nowhere IN CNAME missing
gone IN CNAME void.plain.test.
deep.empty.inner IN A 192.0.2.9
*.wild IN A 192.0.2.7
*.wild IN TXT wild
old IN DNAME new
a.new IN A 192.0.2.8
loop1 IN CNAME loop2
loop2 IN CNAME loop1
big IN TXT """
    + "\nbig IN TXT ".join(f'"{n} {"x" * 200}"' for n in range(30))
    + """
c0 IN CNAME c1
c1 IN CNAME c2
c2 IN CNAME c3
c3 IN CNAME c4
c4 IN CNAME c5
c5 IN CNAME c6
c6 IN CNAME c7
c7 IN CNAME mx1
d0 IN CNAME c0
"""
)
WRONG = "12345 13 2 " + "00" * 32


def made_elsewhere(name: str, tamper: Callable[[str], str] = lambda text: text, age: float = 0.0) -> KnotZone:
    """A zone signed here, ``age`` seconds ago for ten days, whose text was then changed."""
    text = f"$ORIGIN {name}.\n$TTL 300\n@ SOA ns.test. admin.test. 1 3600 600 86400 60\n@ NS ns.test.\n"
    zone = dns.zone.from_text(text + "@ MX 10 mx\nmx A 192.0.2.5\n", relativize=False, origin=name + ".")
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
    made = int(time.time() - age)
    with zone.writer() as writer:
        dns.dnssec.sign_zone(
            zone,
            writer,
            keys=[(private, key)],
            add_dnskey=True,
            inception=made - 60,
            expiration=made + 864000,
        )
    output = io.StringIO()
    zone.to_file(output, relativize=False)
    ds = dns.dnssec.make_ds(dns.name.from_text(name), key, "SHA256")
    return KnotZone(name, tamper(output.getvalue()), raw=True, ds=ds.to_text())


def wrong_digest(zone: KnotZone) -> KnotZone:
    """The parent names the right key's tag and algorithm, with another digest."""
    tag, algorithm, kind, digest = str(zone.ds).split(maxsplit=3)
    return replace(zone, ds=f"{tag} {algorithm} {kind} {'00' * (len(digest.replace(' ', '')) // 2)}")


def world() -> list[KnotZone]:
    return [
        KnotZone(".", signed="nsec"),
        KnotZone("test", ADDRESSES, signed="nsec3"),
        KnotZone("good.test", COMMON, signed="nsec3"),
        KnotZone("nsec.test", COMMON, signed="nsec"),
        KnotZone("rsa.test", COMMON, signed="nsec3", algorithm="RSASHA256"),
        KnotZone("ed.test", COMMON, signed="nsec", algorithm="ED25519"),
        KnotZone("plain.test", COMMON + "host IN A 192.0.2.77\n"),
        KnotZone("optout.test", COMMON, signed="opt-out"),
        KnotZone("child.optout.test", COMMON),
        KnotZone("wrongds.test", COMMON, signed="nsec", ds=WRONG),
        KnotZone("unsigned.test", COMMON, ds=WRONG),
        KnotZone("alien.test", COMMON, signed="nsec", ds="12345 250 2 " + "00" * 32),
        KnotZone("costly.test", COMMON, signed="nsec3", iterations=120),
        made_elsewhere("sound.test"),
        wrong_digest(made_elsewhere("wrongdigest.test")),
        made_elsewhere("expired.test", age=30 * 86400),
        made_elsewhere("early.test", age=-30 * 86400),
        made_elsewhere("tampered.test", lambda text: text.replace("192.0.2.5", "203.0.113.5")),
        made_elsewhere(
            "stripped.test", lambda text: "".join(x for x in text.splitlines(True) if "RRSIG MX" not in x)
        ),
        made_elsewhere(
            "nodenial.test",
            lambda text: "".join(line for line in text.splitlines(True) if " NSEC " not in line),
        ),
    ]
