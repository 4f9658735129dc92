"""Which hosts belong to a domain's mail: what its records name, what programs would look for, and what people use to
call such hosts. A name is only believed where it does not merely come out of a wildcard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .addresses import Addresses, address, addresses
from .dns import Answers, DnsState, Question
from .facts import Host
from .routes import route
from .sender.ask import every, host_name
from .unknown import Cause, Unknown

MAX_HOSTS = 32
MAX_ADDRESSES = 6  # of one host that are probed
MAX_GIVEN = 16
MAX_TARGETS = 4  # of one service's SRV records

# RFC 6186 section 3, RFC 8314 section 5.1, RFC 5804 section 1.8, MS-OXDISCO section 3.1.
SERVICES = (
    "_imaps._tcp",
    "_imap._tcp",
    "_pop3s._tcp",
    "_pop3._tcp",
    "_submissions._tcp",
    "_submission._tcp",
    "_sieve._tcp",
    "_autodiscover._tcp",
)
# Names that programs ask for by themselves, and the role they give.
PROGRAMS = {"autodiscover": "autodiscover", "autoconfig": "autoconfig", "mta-sts": "mta-sts"}
# Names that people give to mail hosts.
USUAL = (
    "mail", "webmail", "owa", "exchange", "imap", "smtp", "pop", "pop3", "mx", "mx1", "mail1", "mail2", "email", "post",
    "remote", "groupware", "roundcube", "zimbra", "sogo", "mailserver", "outlook", "ews", "activesync", "relay",
)  # fmt: skip
# A name that nobody has: whatever answers for it answers for everything.
NOBODY = "gambeson-look-asks-for-no-such-name"


def hosts(domain: str, given: Sequence[str], answers: Answers) -> tuple[Host, ...]:
    """The hosts of ``domain``'s mail, surest first. ``given`` are names and addresses of the person's, which are always
    among them. Raises WantedError."""
    roles: dict[str, list[str]] = {}
    for name in given[:MAX_GIVEN]:
        if known := address(name) or host_name(name):
            roles.setdefault(known, []).append("given")
    for missing in _gather(roles, domain, answers):
        roles.setdefault(missing[0], []).append(missing[1])
    names = [name for name in roles if not address(name)]
    found = addresses(answers, [*names, f"{NOBODY}.{domain}"])
    wildcard = found[f"{NOBODY}.{domain}"]
    made: list[Host] = []
    for name, of_name in roles.items():
        if address(name):
            made.append(Host(name, tuple(of_name), (name,)))
        elif (host := _host(found[name], tuple(dict.fromkeys(of_name)), wildcard)) is not None:
            made.append(host)
    return (*made[:MAX_HOSTS], *map(_beyond, made[MAX_HOSTS:]))


def _beyond(host: Host) -> Host:
    """A host that is one too many: it is named, and not looked at."""
    why = Unknown(Cause.NOT_ASKED, f"only {MAX_HOSTS} hosts are probed")
    left_out = (*host.left_out, *((text, why) for text in host.addresses))
    return replace(host, addresses=(), left_out=left_out)


def _gather(roles: dict[str, list[str]], domain: str, answers: Answers) -> Iterable[tuple[str, str]]:
    """Name and role, surest first."""
    names = [f"{label}.{domain}" for label in (*PROGRAMS, *USUAL)]
    wanted = [Question(f"{service}.{domain}", "SRV") for service in SERVICES]
    first = [Question(name, family) for name in (*names, f"{NOBODY}.{domain}") for family in ("A", "AAAA")]
    every(answers, Question(domain, "MX"), *wanted, *first)  # all at once: waiting is what costs
    found = [(exchanger.name, "mx") for exchanger in route(domain, answers).exchangers]
    for question in wanted:
        role = "autodiscover" if question.name.startswith("_autodiscover") else "srv"
        found += [(target, role) for target, _ in targets(answers, question)]
    found += [(f"{label}.{domain}", role) for label, role in PROGRAMS.items()]
    found += [(f"{label}.{domain}", "guess") for label in USUAL]
    return found


def targets(answers: Answers, question: Question) -> tuple[tuple[str, int], ...]:
    """The hosts and ports of an SRV answer, best first; ``.`` means that the service is not offered (RFC 2782)."""
    (answer,) = every(answers, question)
    if answer.state is not DnsState.RECORDS:
        return ()
    found: list[tuple[int, str, int]] = []
    for record in answer.records:
        words = record.split()
        if len(words) == 4 and all(word.isdecimal() for word in words[:3]) and (name := host_name(words[3])):
            found.append((int(words[0]), name, int(words[2])))
    ordered = dict.fromkeys((name, port) for _, name, port in sorted(found))
    return tuple(ordered)[:MAX_TARGETS]


def _host(found: Addresses, roles: tuple[str, ...], wildcard: Addresses) -> Host | None:
    """The host, or None where the name leads nowhere or is only what a wildcard makes of every name."""
    sure = not {"mx", "srv", "given"}.isdisjoint(roles)
    if not found.found:
        return Host(found.name, roles, unknown=found.lost) if found.lost is not None or sure else None
    kept, left_out = found.found[:MAX_ADDRESSES], found.found[MAX_ADDRESSES:]
    why: list[tuple[str, Unknown]] = [
        (text, Unknown(Cause.NOT_ASKED, f"only {MAX_ADDRESSES} addresses of a host are probed"))
        for text in left_out
    ]
    why += [(f"{family} of {found.name}", unknown) for family, unknown in found.unknown]
    if not sure:
        if wildcard.lost is not None:
            doubt = Unknown(wildcard.lost.cause, "whether every name answers here is not known")
            return Host(found.name, roles, left_out=tuple((text, doubt) for text in kept), unknown=doubt)
        if wildcard.found and set(found.found) <= set(wildcard.found):
            return None
    return Host(found.name, roles, kept, tuple(why))
