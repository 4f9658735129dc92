"""The faults of names: records, routes, signatures, name servers, and resolvers that fail."""

from __future__ import annotations

from . import resolvers as bad
from . import zone
from .addresses import MX_BESIDE, MX_GENERIC, MX_NAMELESS, MX_STRANGE, POLICIES, WEB
from .fault import Fault, seeded, unknown

BIMI = 'default._bimi TXT "v=BIMI1; l=https://$D/x.svg; a=https://$D/x.pem"'
I_TWICE = ('i TXT "v=spf1 mx -all"', 'i TXT "v=spf1 a -all"')
WRONG_DS = "12345 13 2 " + "00" * 32
_NAMES = (
    "autodiscover_dns",
    "bimi",
    "caa",
    "dkim",
    "dmarc",
    "mta_sts",
    "mx",
    "nameservers",
    "spf",
    "tls_rpt",
    "wildcard",
)
# Without names there is nobody to knock at.
_UNSEEN = (
    "admin_pages bare_password certificate certificate_key dane http_plain legacy_doors mx_redundancy plaintext_signin "
    "ptr smtp_starttls starttls_injection tls_ciphers tls_versions version_disclosure webmail_login"
)


def _text(name: str, record: str, expected: str, *puts: str) -> Fault:
    """Another SPF record."""
    return seeded(name, expected, drops=("@ TXT",), puts=(f'@ TXT "{record}"', *puts) if record else puts)


def _dmarc(name: str, record: str, expected: str, *puts: str) -> Fault:
    """Another DMARC record."""
    return seeded(
        name, expected, drops=("_dmarc",), puts=(f'_dmarc TXT "{record}"', *puts) if record else puts
    )


def _dkim(name: str, record: str, expected: str, *puts: str) -> Fault:
    """Another DKIM record."""
    drops, given = ("default._domainkey",), (f'default._domainkey TXT "{record}"',) if record else ()
    return seeded(name, expected, drops=drops, puts=(*given, *puts))


def _policy(name: str, expected: str) -> Fault:
    """Another MTA-STS policy."""
    return seeded(f"sts-{name}", expected, drops=("mta-sts",), puts=(f"mta-sts A {POLICIES[name]}",))


SPF = (
    _text("spf-missing", "", "spf missing"),
    _text("spf-two", "v=spf1 mx -all", "spf several", '@ TXT "v=spf1 a -all"'),
    _text("spf-mistake", "v=spf1 mx foo:bar -all", "spf broken"),
    _text("spf-blank", " v=spf1 mx -all", "spf lookalike"),
    _text("spf-everybody", "v=spf1 mx +all", "spf everybody"),
    _text("spf-huge", "v=spf1 ip4:8.0.0.0/8 -all", "spf huge"),
    _text("spf-wide", "v=spf1 ip4:8.0.0.0/11 -all", "spf wide"),
    _text("spf-neutral", "v=spf1 mx ?all", "spf neutral"),
    _text("spf-ptr", "v=spf1 mx ptr -all", "spf ptr"),
    _text("spf-void", "v=spf1 mx a:nobody.$D -all", "spf void"),
    _text("spf-voids", "v=spf1 mx a:n1.$D a:n2.$D a:n3.$D -all", "spf voids"),
    _text("spf-circle", "v=spf1 mx include:$D -all", "spf loop"),
    _text("spf-include-nothing", "v=spf1 mx include:nobody.$D -all", "spf include-nothing"),
    _text("spf-include-wrong", "v=spf1 mx include:i.$D -all", "spf syntax", 'i TXT "v=spf1 foo:bar -all"'),
    _text("spf-include-two", "v=spf1 mx include:i.$D -all", "spf include-several", *I_TWICE),
    _text(
        "spf-lookups",
        "v=spf1 mx " + " ".join(f"include:i{n}.$D" for n in range(10)) + " -all",
        "spf lookups",
        *(f'i{n} TXT "v=spf1 ip4:192.0.2.{n} -all"' for n in range(10)),
    ),
    _text(
        "spf-lookups-close",
        "v=spf1 mx " + " ".join(f"include:i{n}.$D" for n in range(9)) + " -all",
        "spf lookups-close",
        *(f'i{n} TXT "v=spf1 ip4:192.0.2.{n} -all"' for n in range(9)),
    ),
)
DMARC = (
    _dmarc("dmarc-missing", "", "dmarc missing"),
    _dmarc("dmarc-two", "v=DMARC1; p=reject", "dmarc several", '_dmarc TXT "v=DMARC1; p=none"'),
    _dmarc("dmarc-misplaced", "", "dmarc misplaced", '@ TXT "v=DMARC1; p=reject; rua=mailto:d@$D"'),
    _dmarc("dmarc-blind", "v=DMARC1; p=none", "dmarc blind"),
    _dmarc("dmarc-watching", "v=DMARC1; p=none; rua=mailto:d@$D", "dmarc watching"),
    _dmarc("dmarc-quarantine", "v=DMARC1; p=quarantine; rua=mailto:d@$D", "dmarc ok-quarantine"),
    _dmarc("dmarc-half", "v=DMARC1; p=reject; pct=50; rua=mailto:d@$D", "dmarc part"),
    _dmarc("dmarc-testing", "v=DMARC1; p=reject; t=y; rua=mailto:d@$D", "dmarc testing"),
    _dmarc("dmarc-subdomains", "v=DMARC1; p=reject; sp=none; rua=mailto:d@$D", "dmarc subdomains"),
    _dmarc("dmarc-invented", "v=DMARC1; p=reject; np=none; rua=mailto:d@$D", "dmarc nonexistent"),
    _dmarc("dmarc-no-policy", "v=DMARC1; p=maybe", "dmarc no-policy"),
    _dmarc("dmarc-odd", "v=DMARC1; p=reject; sp=perhaps; rua=mailto:d@$D", "dmarc discarded, dmarc watching"),
    _dmarc("dmarc-unreported", "v=DMARC1; p=reject", "dmarc unreported"),
    _dmarc("dmarc-refused", "v=DMARC1; p=reject; rua=mailto:d@others.test", "dmarc refused"),
    _dmarc("dmarc-dead", "v=DMARC1; p=reject; rua=mailto:d@nobody.$D", "dmarc dead"),
)
DKIM = (
    _dkim("dkim-none", "", "dkim not-found"),
    _dkim("dkim-short", f"v=DKIM1; k=rsa; p={zone.dkim_key(1024)}", "dkim short"),
    _dkim("dkim-weak", f"v=DKIM1; k=rsa; p={zone.WEAK_KEY}", "dkim weak"),
    _dkim("dkim-testing", f"v=DKIM1; k=rsa; t=y; p={zone.dkim_key(2048)}", "dkim testing"),
    _dkim("dkim-sha1", f"v=DKIM1; k=rsa; h=sha1; p={zone.dkim_key(2048)}", "dkim sha1"),
    _dkim("dkim-strange", "v=DKIM1; k=dsa; p=AAAA", "dkim strange"),
    _dkim("dkim-broken", "v=DKIM1; k=rsa; p=!!!", "dkim broken, dkim not-found"),
    _dkim("dkim-dangling", "", "dkim dangling, dkim not-found", "selector1._domainkey CNAME nobody"),
    _dkim("dkim-revoked", "v=DKIM1; k=rsa; p=", "dkim not-found"),
)
TRANSPORT = (
    seeded("sts-no-record", "mta_sts missing", drops=("_mta-sts",)),
    seeded("sts-record-wrong", "mta_sts broken", drops=("_mta-sts",), puts=('_mta-sts TXT "v=STSv1; id=!"',)),
    seeded("sts-two-records", "mta_sts several", puts=('_mta-sts TXT "v=STSv1; id=2"',)),
    _policy("testing", "mta_sts testing"),
    _policy("shut-out", "mta_sts shut-out"),
    _policy("missing", "mta_sts no-policy"),
    _policy("broken", "mta_sts no-policy"),
    _policy("redirect", "mta_sts no-policy"),
    _policy("off", "mta_sts none"),
    _policy("short", "mta_sts short"),
    seeded("rpt-missing", "tls_rpt missing", drops=("_smtp._tls",)),
    seeded("rpt-wrong", "tls_rpt broken", drops=("_smtp._tls",), puts=('_smtp._tls TXT "v=TLSRPTv1; rua="',)),
    seeded("rpt-two", "tls_rpt several", puts=('_smtp._tls TXT "v=TLSRPTv1; rua=mailto:other@$D"',)),
    seeded(
        "rpt-partly",
        "tls_rpt partly",
        drops=("_smtp._tls",),
        puts=('_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@$D,ftp://$D/x"',),
    ),
    seeded("bimi-two", "bimi several", puts=(BIMI, BIMI.replace("x.svg", "y.svg"))),
    seeded("bimi-wrong", "bimi broken", puts=('default._bimi TXT "v=BIMI1; l=http://$D/x.svg"',)),
    seeded("caa-missing", "caa open", drops=("@ CAA",)),
    seeded("unsigned", "dnssec unsigned, dane insecure", signed=""),
    seeded("signed-for-nobody", "dnssec unlinked, dane insecure", ds=False),
    seeded("signed-by-sha1", "dnssec weak", algorithm="RSASHA1"),
    seeded("signed-alien", "dnssec alien, dane insecure", ds="12345 250 2 " + "00" * 32),
    seeded("dane-absent", "dane absent", drops=("_25._tcp.mx1", "_25._tcp.mx2")),
    seeded("dane-partly", "dane partly", drops=("_25._tcp.mx2",)),
    seeded(
        "dane-mismatch",
        "dane mismatch",
        drops=("_25._tcp.mx1",),
        puts=("_25._tcp.mx1 TLSA 3 1 1 " + "ab" * 32,),
    ),
    seeded(
        "dane-unusable",
        "dane unusable",
        drops=("_25._tcp.mx1",),
        puts=("_25._tcp.mx1 TLSA 0 0 1 " + "ab" * 32,),
    ),
)
ROUTES = (
    seeded("mx-one", "mx_redundancy single", drops=("@ MX 20", "_25._tcp.mx2", "mx2")),
    seeded("mx-dangling", "mx dangling", puts=("@ MX 30 gone.$D.",)),
    seeded("mx-no-address", "mx no-address", puts=("@ MX 30 empty", 'empty TXT "x"')),
    seeded("mx-literal", "mx literal", puts=("@ MX 30 192.0.2.1.",)),
    seeded("mx-alias", "mx alias, dane partly", puts=("@ MX 30 third", "third CNAME mx1")),
    seeded("mx-null-beside", "mx null-beside", puts=("@ MX 0 .",)),
    seeded(
        "mx-dead",
        "mx dead",
        drops=("@ MX", "_25._tcp.mx1", "_25._tcp.mx2"),
        puts=("@ MX 10 gone",),
        silent="mx_redundancy ptr dane",
    ),
    seeded(
        "parked",
        "dmarc dead, parked ok",
        silent="autodiscover_dns dane mx mx_redundancy ptr",
        drops=("@ MX", "@ TXT"),
        puts=("@ MX 0 .", '@ TXT "v=spf1 -all"'),
    ),
    seeded(
        "parked-open",
        "dmarc dead, parked open",
        silent="autodiscover_dns dane mx mx_redundancy ptr",
        drops=("@ MX",),
        puts=("@ MX 0 .",),
    ),
    seeded(
        "mx-implicit",
        "certificate name-between-servers, dane absent, mx implicit, mx_redundancy single, spf void",
        silent="",
        drops=("@ MX", "_25._tcp.mx1", "_25._tcp.mx2"),
        puts=("@ A 127.10.1.1",),
    ),
    seeded("mx-one-network", "mx_redundancy one-network", drops=("mx2 A",), puts=(f"mx2 A {MX_BESIDE}",)),
    seeded("ptr-missing", "ptr missing", drops=("mx1 A",), puts=(f"mx1 A {MX_NAMELESS}",)),
    seeded("ptr-elsewhere", "ptr mismatch", drops=("mx1 A",), puts=(f"mx1 A {MX_STRANGE}",)),
    seeded("ptr-generic", "ptr generic", drops=("mx1 A",), puts=(f"mx1 A {MX_GENERIC}",)),
    seeded("ns-one", "nameservers single", servers=("ns1.test",)),
    seeded("ns-one-network", "nameservers one-network", servers=("ns1.test", "beside.test")),
    seeded("ns-lame", "nameservers lame", servers=(*zone.SERVERS, "lame.test")),
    seeded("ns-dangling", "nameservers dangling", servers=(*zone.SERVERS, "gone.test")),
    seeded("ns-no-address", "nameservers no-address", servers=(*zone.SERVERS, "empty.test")),
    seeded("ns-alias", "nameservers alias", servers=(*zone.SERVERS, "ns3.test")),
    seeded("ns-apart", "nameservers apart", servers=(*zone.SERVERS, "old.test")),
    seeded("ns-recursive", "nameservers recursive", servers=(*zone.SERVERS, "recursive.test")),
    seeded("ns-silent", "nameservers unknown timeout", servers=(*zone.SERVERS, "silent.test")),
    seeded("auto-dangling", "autodiscover_dns dangling", puts=("autodiscover CNAME gone",)),
    seeded("srv-dangling", "autodiscover_dns service", puts=("_imaps._tcp SRV 0 1 993 gone",)),
    seeded("wildcard-address", "wildcard address", puts=(f"* A {WEB}",)),
    seeded("wildcard-mail", "wildcard mail", puts=("* MX 10 mx1",)),
    seeded("wildcard-dangling", "wildcard dangling", puts=("* CNAME gone.others.test.",)),
)
RESOLVERS = (
    seeded("dns-dmarc-servfail", unknown("servfail", "dmarc"), twist=bad.fails(bad.only("TXT", "_dmarc."))),
    seeded("dns-dmarc-silent", unknown("timeout", "dmarc"), twist=bad.silent(bad.only("TXT", "_dmarc."))),
    seeded(
        "dns-dmarc-refused",
        unknown("refused", "dmarc"),
        twist=bad.fails(bad.only("TXT", "_dmarc."), "REFUSED"),
    ),
    seeded(
        "dns-txt-garbage",
        unknown("malformed", "spf"),
        twist=bad.garbage(bad.only("TXT", "dns-txt-garbage.")),
    ),
    seeded(
        "dns-txt-forged", unknown("malformed", "spf"), twist=bad.other_id(bad.only("TXT", "dns-txt-forged."))
    ),
    seeded(
        "dns-mx-servfail",
        unknown("servfail", "mx", "mta_sts", "spf", "wildcard"),
        twist=bad.fails(bad.only("MX")),
        silent="dane mx_redundancy ptr",  # the line about the MX records says it
    ),
    # RFC 7672 section 2.1.1: in a signed zone a failure of this one question stops mail, so it is a fault itself.
    seeded("dns-tlsa-servfail", "dane broken", twist=bad.fails(bad.only("TLSA"))),
    seeded("dns-tlsa-silent", unknown("timeout", "dane"), twist=bad.silent(bad.only("TLSA"))),
    seeded("dns-ptr-silent", unknown("timeout", "ptr"), twist=bad.silent(bad.only("PTR"))),
    seeded("dns-cut", "", twist=bad.cut(tcp_works=True)),
    seeded("dns-cut-for-good", unknown("malformed", "bimi", "dkim", "spf"), twist=bad.cut(tcp_works=False)),
    seeded("dns-bogus", f"dnssec bogus, {unknown('bogus', *_NAMES)}", ds=WRONG_DS, silent=_UNSEEN),
    seeded(
        "dns-servfail", unknown("servfail", "dnssec", *_NAMES), twist=bad.fails(bad.every), silent=_UNSEEN
    ),
    seeded("dns-silent", unknown("timeout", "dnssec", *_NAMES), twist=bad.silent(bad.every), silent=_UNSEEN),
)
NAMES = (*SPF, *DMARC, *DKIM, *TRANSPORT, *ROUTES, *RESOLVERS)
