"""SPF records by hand, each a small name space around ``d.example``: what receivers make of it.

A verdict is ``none``, ``several``, ``permerror``, ``voids``, ``ok`` or ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assess.dns_zone import Zone as Names
from gambeson.assess.core.sender import spf
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.spf import SpfReport

Zone = Mapping[str, Sequence[str] | str]

HOSTS: Zone = {
    "d.example A": "192.0.2.1",
    "d.example MX": ["10 mx1.d.example", "20 mx2.d.example"],
    "mx1.d.example A": "192.0.2.11",
    "mx1.d.example AAAA": "2001:db8::11",
    "mx2.d.example A": "192.0.2.12",
    "v4.d.example A": ["198.51.100.1", "198.51.100.2"],
    "v6.d.example AAAA": "2001:db8:1::1",
    "good.example TXT": "v=spf1 ip4:203.0.113.0/24 -all",
    "other.example TXT": "v=spf1 a:v4.d.example ~all",
    "nospf.example TXT": "hello",
    "twice.example TXT": ["v=spf1 -all", "v=spf1 ~all"],
    "bad.example TXT": "v=spf1 ip4:203.0.113.300 -all",
    "open.example TXT": "v=spf1 +all",
    "self.example TXT": "v=spf1 include:self.example -all",
    "ring1.example TXT": "v=spf1 include:ring2.example -all",
    "ring2.example TXT": "v=spf1 include:ring1.example -all",
    "turn.example TXT": "v=spf1 redirect=turn.example",
    "many.example MX": [f"{n} m{n}.many.example" for n in range(1, 12)],
    "same.example MX": [f"{n} mx1.d.example" for n in range(1, 12)],
    "ten.example MX": [f"{n} m{n}.many.example" for n in range(1, 11)],
    **{f"m{n}.many.example A": f"198.51.100.{n + 10}" for n in range(1, 12)},
    **{f"i{n}.example TXT": f"v=spf1 ip4:203.0.113.{n} -all" for n in range(1, 13)},
    **{f"a{n}.example A": f"203.0.113.{n + 100}" for n in range(1, 13)},
    "deep5.example TXT": "v=spf1 include:i1.example include:i2.example include:i3.example include:i4.example -all",
    "deep9.example TXT": "v=spf1 include:deep5.example a:a1.example a:a2.example a:a3.example a:a4.example -all",
    "servfail.example TXT": "SERVFAIL",
    "servfail.example A": "SERVFAIL",
    "servfail.example AAAA": "SERVFAIL",
    "servfail.example MX": "SERVFAIL",
    "null.example MX": "0 .",
}


def includes(count: int) -> str:
    return "v=spf1 " + " ".join(f"include:i{n}.example" for n in range(1, count + 1)) + " -all"


def hosts(count: int, tail: str = "-all") -> str:
    return "v=spf1 " + " ".join(f"a:a{n}.example" for n in range(1, count + 1)) + f" {tail}"


#: record or records at d.example, and our verdict
CASES: list[tuple[str | list[str], str]] = [
    # what counts as a record at all (RFC 7208 section 4.5)
    ([], "none"),
    ("hello", "none"),
    ("v=spf1", "ok"),
    ("V=SPF1 -ALL", "ok"),
    ("v=spf1 ", "ok"),
    ("v=spf10 -all", "none"),
    (" v=spf1 -all", "none"),
    ("v=spf1;-all", "none"),
    ("v=spf2.0/pra -all", "none"),
    (["v=spf1 -all", "hello"], "ok"),
    (["v=spf1 -all", "v=spf1 ~all"], "several"),
    (["v=spf1 -all", "v=spf10 -all"], "ok"),
    # the grammar (section 12)
    ("v=spf1 -all", "ok"),
    ("v=spf1 ~all", "ok"),
    ("v=spf1 ?all", "ok"),
    ("v=spf1 +all", "ok"),
    ("v=spf1  a   mx  -all  ", "ok"),
    ("v=spf1 a mx -all", "ok"),
    ("v=spf1 A MX -ALL", "ok"),
    ("v=spf1 a/24 mx/24 -all", "ok"),
    ("v=spf1 a//64 mx//64 -all", "ok"),
    ("v=spf1 a:v4.d.example/24//64 -all", "ok"),
    ("v=spf1 a/33 -all", "permerror"),
    ("v=spf1 a//129 -all", "permerror"),
    ("v=spf1 a/ -all", "permerror"),
    ("v=spf1 a/024 -all", "permerror"),
    ("v=spf1 a: -all", "permerror"),
    ("v=spf1 a:/24 -all", "permerror"),
    ("v=spf1 a:localhost -all", "permerror"),
    ("v=spf1 a:foo.123 -all", "permerror"),
    ("v=spf1 a:v4.d.example. -all", "ok"),
    ("v=spf1 mx:d.example -all", "ok"),
    ("v=spf1 ip4:192.0.2.0/24 -all", "ok"),
    ("v=spf1 ip4:192.0.2.5/24 -all", "ok"),
    ("v=spf1 ip4:192.0.2.0/33 -all", "permerror"),
    ("v=spf1 ip4:192.0.2.0/ -all", "permerror"),
    ("v=spf1 ip4:192.0.2 -all", "permerror"),
    ("v=spf1 ip4:192.0.2.256 -all", "permerror"),
    ("v=spf1 ip4:192.0.2.0/024 -all", "permerror"),
    ("v=spf1 ip4 -all", "permerror"),
    ("v=spf1 ip4: -all", "permerror"),
    ("v=spf1 ip4:2001:db8::1 -all", "permerror"),
    ("v=spf1 ip4=192.0.2.1 -all", "ok"),
    ("v=spf1 ip6:2001:db8::/32 -all", "ok"),
    ("v=spf1 ip6:2001:db8::1 -all", "ok"),
    ("v=spf1 ip6:::ffff:192.0.2.1 -all", "ok"),
    ("v=spf1 ip6:192.0.2.1 -all", "permerror"),
    ("v=spf1 ip6:2001:db8::/129 -all", "permerror"),
    ("v=spf1 ip6:2001:db8:::1 -all", "permerror"),
    ("v=spf1 ip6:fe80::1%eth0 -all", "permerror"),
    ("v=spf1 ipv4:192.0.2.1 -all", "permerror"),
    ("v=spf1 -all:x.example", "permerror"),
    ("v=spf1 all/8", "permerror"),
    ("v=spf1 include -all", "permerror"),
    ("v=spf1 include: -all", "permerror"),
    ("v=spf1 include:good.example -all", "ok"),
    ("v=spf1 include=good.example -all", "ok"),
    ("v=spf1 ?include:good.example -all", "ok"),
    ("v=spf1 -include:good.example ~all", "ok"),
    ("v=spf1 exists -all", "permerror"),
    ("v=spf1 exists:v4.d.example -all", "ok"),
    ("v=spf1 exists:%{i}._spf.d.example -all", "ok"),
    ("v=spf1 ptr -all", "ok"),
    ("v=spf1 ptr:d.example -all", "ok"),
    ("v=spf1 ptr: -all", "permerror"),
    ("v=spf1 ptr/24 -all", "permerror"),
    ("v=spf1 foo -all", "permerror"),
    ("v=spf1 foo:bar.example -all", "permerror"),
    ("v=spf1 foo=bar -all", "ok"),
    ("v=spf1 moo.cow-far_out=man:dog/cat -all", "ok"),
    ("v=spf1 foo=%{z} -all", "permerror"),
    ("v=spf1 -foo=bar -all", "permerror"),
    ("v=spf1 ~~all", "permerror"),
    ("v=spf1 mx-all", "permerror"),
    ("v=spf1 ip4:192.0.2.1,192.0.2.2 -all", "permerror"),
    ("v=spf1, a -all", "none"),
    ("v=spf1 a, mx -all", "permerror"),
    ("v=spf1 a\tmx -all", "permerror"),
    ("v=spf1 \u00fcall", "permerror"),
    # modifiers (section 6)
    ("v=spf1 redirect=good.example", "ok"),
    ("v=spf1 redirect=good.example redirect=good.example", "permerror"),
    ("v=spf1 redirect= -all", "permerror"),
    ("v=spf1 redirect:good.example", "permerror"),
    ("v=spf1 redirect=nospf.example", "permerror"),
    ("v=spf1 redirect=nowhere.example", "permerror"),
    ("v=spf1 redirect=nowhere.example -all", "ok"),
    ("v=spf1 redirect=turn.example", "permerror"),
    ("v=spf1 exp=why.d.example -all", "ok"),
    ("v=spf1 exp=why.d.example exp=why.d.example -all", "permerror"),
    ("v=spf1 exp= -all", "permerror"),
    ("v=spf1 a -all include:nospf.example", "ok"),
    ("v=spf1 -all ip4:nonsense", "permerror"),
    # macros (section 7)
    ("v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all", "ok"),
    ("v=spf1 exists:%{l1r-}.%{o}.d.example -all", "ok"),
    ("v=spf1 exists:%{S}.d.example -all", "ok"),
    ("v=spf1 exists:%{d0}.d.example -all", "permerror"),
    ("v=spf1 exists:%{c}.d.example -all", "permerror"),
    ("v=spf1 exists:%{x}.d.example -all", "permerror"),
    ("v=spf1 exists:%{d}%% -all", "ok"),
    ("v=spf1 exists:% -all", "permerror"),
    ("v=spf1 exists:%{d -all", "permerror"),
    ("v=spf1 exists:%{i!}.d.example -all", "permerror"),
    ("v=spf1 a:%{d} -all", "ok"),
    ("v=spf1 include:%{d2}.good.example ~all", "permerror"),
    ("v=spf1 include:%{l}.good.example ~all", "ok"),
    # includes that fail (section 5.2)
    ("v=spf1 include:nospf.example -all", "permerror"),
    ("v=spf1 include:nowhere.example -all", "permerror"),
    ("v=spf1 include:twice.example -all", "permerror"),
    ("v=spf1 include:bad.example -all", "permerror"),
    ("v=spf1 include:self.example -all", "permerror"),
    ("v=spf1 include:ring1.example -all", "permerror"),
    ("v=spf1 include:d.example -all", "permerror"),
    ("v=spf1 include:open.example -all", "ok"),
    ("v=spf1 include:good.example include:good.example -all", "ok"),
    # limits (section 4.6.4)
    (includes(10), "ok"),
    (includes(11), "permerror"),
    (hosts(10), "ok"),
    (hosts(11), "permerror"),
    (hosts(9, "redirect=good.example"), "ok"),
    (hosts(10, "redirect=good.example"), "permerror"),
    ("v=spf1 include:deep9.example -all", "ok"),
    ("v=spf1 include:deep9.example a -all", "permerror"),
    ("v=spf1 include:deep9.example ip4:192.0.2.1 -all", "ok"),
    ("v=spf1 mx:ten.example -all", "ok"),
    ("v=spf1 mx:many.example -all", "permerror"),
    ("v=spf1 mx:same.example -all", "permerror"),
    ("v=spf1 a:no1.example a:no2.example -all", "ok"),
    ("v=spf1 a:no1.example a:no2.example a:no3.example -all", "voids"),
    ("v=spf1 mx:no1.example exists:no2.example a:no3.example -all", "voids"),
    ("v=spf1 mx:null.example -all", "ok"),
    # what could not be found out is no verdict (section 4.4)
    ("v=spf1 include:servfail.example -all", "unknown"),
    ("v=spf1 a:servfail.example -all", "unknown"),
    ("v=spf1 mx:servfail.example -all", "unknown"),
    ("v=spf1 include:servfail.example foo -all", "permerror"),
    ("SERVFAIL", "unknown"),
]

TERMS = [
    "a", "mx", "a/24", "mx//64", "a:v4.d.example", "a:v6.d.example", "mx:ten.example", "mx:many.example", "ptr",
    "ip4:192.0.2.0/24", "ip6:2001:db8::/32", "ip4:192.0.2.256", "ip6:2001:db8::/129", "include:good.example",
    "include:other.example", "include:deep5.example", "include:nospf.example", "include:ring1.example",
    "exists:%{i}.d.example", "exists:%{i}.%{l}.d.example", "a:no1.example", "mx:no2.example", "foo=bar", "foo", "a/33",
    "include:open.example", "~include:other.example", "?a:v4.d.example",
]  # fmt: skip
ENDS = ["-all", "~all", "?all", "+all", "redirect=good.example", "redirect=turn.example", ""]


def judged(records: dict[str, str | list[str]]) -> SpfReport:
    zone = Names({**HOSTS, **records})
    return zone.settle(lambda answers: spf.report("d.example", answers))


def at_domain(text: str | list[str]) -> dict[str, str | list[str]]:
    return {"d.example TXT": text} if text else {}


def verdict(report: SpfReport) -> str:
    if report.found in (Found.UNKNOWN, Found.SEVERAL):
        return report.found.value
    if report.found is Found.NOTHING:
        return "none"
    if report.found is Found.BROKEN or report.problems:
        return "permerror"
    if report.unknowns:
        return "unknown"
    return "voids" if len(report.voids) > spf.MAX_VOID else "ok"
