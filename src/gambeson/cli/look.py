"""``gambeson look DOMAIN``: where do I stand, in sixty seconds, changing nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argparse import Namespace

    from gambeson.assess.core.doors import Protocol
    from gambeson.assess.core.facts import Facts
    from gambeson.assess.core.report import Report
    from gambeson.assess.edge.authorities import Authorities
    from gambeson.assess.edge.dnssec import TrustAnchors
    from gambeson.assess.edge.look import Progress, Request

    from . import Commands


class _Settings(NamedTuple):
    """Whom is asked, and who is believed."""

    servers: tuple[tuple[str, int], ...]
    anchors: TrustAnchors | None
    authorities: Authorities


_DESCRIPTION = """\
Looks at a domain's mail from outside: its names, and, if you agree, its doors. It signs in nowhere, sends no mail and
changes nothing; it opens a few connections at a time to the hosts that the domain names, and is over in sixty seconds.
Look only at what is yours or what you were asked to look at. It needs no installation. Exit 0: nothing at or above
--fail-on; 1: something is; 2: that is no domain; 3: no name server answered; 4: it could not be looked at whole.
"""
_CONSENT = """\
The names of {domain} are public and will be read. To see its doors, this machine connects to the mail and web ports of
the hosts that the domain names, as any mail program would: at most {count} connections at a time to each address, no
sign-in, nothing sent. Their logs will show it. Do this only with their owner's consent.
Knock at the doors of {domain}? [y/N] """
_FAIL_ON = ("low", "medium", "high", "critical")


def add(commands: Commands) -> None:
    """Declares ``look``."""
    parser = commands.add("look", "where does a domain's mail stand? (from outside)", run, _DESCRIPTION)
    parser.add_argument("domain", metavar="DOMAIN", help="the domain whose mail is looked at")
    parser.add_argument(
        "--host",
        metavar="NAME|ADDRESS",
        action="append",
        default=[],
        help="another host of yours to look at whole; may be repeated",
    )
    parser.add_argument("--yes", action="store_true", help="the owner agreed that the doors are knocked at")
    parser.add_argument("--names-only", action="store_true", help="read names, knock at nothing")
    parser.add_argument("--html", metavar="FILE", help="write the answer as one HTML file")
    parser.add_argument(
        "--all", action="store_true", help="say every line whole, even where one screen is too small"
    )
    parser.add_argument(
        "--resolver",
        metavar="ADDRESS[:PORT]",
        action="append",
        default=[],
        help="ask this name server instead of the system's; may be repeated",
    )
    parser.add_argument("--trust-anchor", metavar="FILE", help="DNSSEC's trust anchor instead of the root's")
    parser.add_argument("--ca", metavar="FILE", help="the certificate authorities to trust (PEM)")
    parser.add_argument(
        "--port",
        metavar="PROTOCOL=N",
        action="append",
        default=[],
        help="where a protocol is spoken, such as imaps=10993; may be repeated",
    )
    parser.add_argument(
        "--private", action="store_true", help="probe addresses of private use too (your own network)"
    )
    parser.add_argument(
        "--fail-on", choices=_FAIL_ON, default="high", help="exit 1 from this severity on (default high)"
    )


def run(args: Namespace) -> int:
    """Looks, and prints the answer."""
    from gambeson.assess.core.document import document
    from gambeson.assess.core.evaluate import evaluate
    from gambeson.assess.core.report import report
    from gambeson.assess.edge.checks import all_checks
    from gambeson.assess.edge.page import page
    from gambeson.assess.edge.screen import screen

    from .common import emit

    request, settings = _request(args)
    facts = _look(args, request, settings)
    answer = report(facts, evaluate(facts, all_checks()))
    if args.json:
        emit(args, document(answer), "")
    else:
        emit(args, {}, screen(answer, width=_width(), height=_height(args), colour=_colour()))
    if args.html:  # last: what was found out is not lost to a full disk
        sys.stdout.flush()
        _write(args.html, page(answer))
    return _code(args, answer)


def _request(args: Namespace) -> tuple[Request, _Settings]:
    """What is looked at and how; everything that a person may have typed wrongly is said before anything is asked."""
    from pathlib import Path

    from gambeson.assess.edge.authorities import Authorities, AuthoritiesError
    from gambeson.assess.edge.dns_system import system_servers
    from gambeson.assess.edge.dnssec import IANA, AnchorError, TrustAnchors
    from gambeson.assess.edge.look import Request

    from .common import CommandError, Exit

    domain = _domain(args.domain)
    given = tuple(_host(text) for text in args.host)
    ports = dict(_port(text) for text in args.port)
    servers = tuple(_server(text) for text in args.resolver) or system_servers()
    try:
        authorities = Authorities.from_file(Path(args.ca)) if args.ca else Authorities.system()
        anchors = TrustAnchors.read(Path(args.trust_anchor)) if args.trust_anchor else IANA
    except (AuthoritiesError, AnchorError) as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from None
    if args.html:
        _writable(args.html)
    probe = not args.names_only and (args.yes or _consent(domain))
    return Request(domain, given, probe, args.private, ports), _Settings(servers, anchors, authorities)


def _look(args: Namespace, request: Request, settings: _Settings) -> Facts:
    import asyncio

    from gambeson.assess.core.dns import DnsState
    from gambeson.assess.edge.checks import all_checks
    from gambeson.assess.edge.look import Look, Progress
    from gambeson.assess.edge.resolver import Resolver

    from .common import CommandError, Exit
    from .shared import now

    async def look() -> Facts:
        began = now()
        resolver = Resolver(settings.servers, anchors=settings.anchors, now=began, private=request.private)
        try:
            progress = Progress(_show if sys.stderr.isatty() else _silent)
            return await Look(request, all_checks(), resolver, settings.authorities, began, progress).run()
        finally:
            await resolver.close()
            _wipe()

    facts = asyncio.run(look())
    own = [a for q, a in facts.answers.items() if q.name == facts.domain and not q.server]
    if own and all(answer.state is DnsState.UNKNOWN for answer in own):
        first = own[0].unknown
        raise CommandError(
            f"Nothing could be found out about {facts.domain}: {first.detail if first else 'no answer'}; look at this "
            "machine's name servers, or name one with --resolver.",
            Exit.UNREACHABLE,
        )
    states = {answer.state for answer in own}
    # Some servers say of types that they do not know that the name does not exist (RFC 4074 section 4.2).
    if DnsState.NO_NAME in states and states.isdisjoint({DnsState.RECORDS, DnsState.NO_DATA}):
        raise CommandError(f"The domain {facts.domain} does not exist; is it written right?")
    return facts


def _domain(text: str) -> str:
    from gambeson.model.address import canonical_domain

    from .common import CommandError

    try:
        domain = canonical_domain(text.strip().rstrip("."))
    except ValueError:
        domain = ""
    if "." not in domain or domain.replace(".", "").isdigit():
        raise CommandError(
            f"{text!r} is no domain; write what stands after the @ of your addresses, such as example.org."
        )
    return domain


def _host(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return _domain(text)


def _server(text: str) -> tuple[str, int]:
    import ipaddress

    from .common import CommandError

    address, port = text, "53"
    if text.startswith("[") or text.count(":") == 1:
        address, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "53")
    try:
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
        return str(ipaddress.ip_address(address.strip("[]"))), number
    except ValueError:
        raise CommandError(
            f"{text!r} is no name server; write its address, such as 192.0.2.53 or [2001:db8::53]:53."
        ) from None


def _port(text: str) -> tuple[Protocol, int]:
    from gambeson.assess.core.doors import Protocol

    from .common import CommandError

    name, _, port = text.partition("=")
    try:
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
        return Protocol(name), number
    except ValueError:
        names = ", ".join(protocol.value for protocol in Protocol)
        raise CommandError(f"{text!r} is no port; write PROTOCOL=NUMBER with one of {names}.") from None


def _consent(domain: str) -> bool:
    """Asks the person; who cannot be asked has not agreed."""
    from gambeson.assess.edge.manners import PER_ADDRESS

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        sys.stderr.write(
            "Nobody is there to agree, so only names are read; --yes says that the owner agreed.\n"
        )
        return False
    sys.stderr.write(_CONSENT.format(domain=domain, count=PER_ADDRESS))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _writable(name: str) -> None:
    """Says before the look, not after it, that the file cannot be."""
    from pathlib import Path

    from .common import CommandError, Exit

    folder = Path(name).absolute().parent
    if not folder.is_dir():
        raise CommandError(f"{name} cannot be written: there is no folder {folder}.", Exit.UNREACHABLE)
    if Path(name).is_dir():
        raise CommandError(f"{name} is a folder; name a file.", Exit.UNREACHABLE)
    if Path(name).exists() and not Path(name).is_file():  # a device would be replaced by the file
        raise CommandError(
            f"{name} is not a file; name one that is, or that is not there yet.", Exit.UNREACHABLE
        )


def _write(name: str, text: str) -> None:
    from pathlib import Path

    from gambeson.process.whole_file import write_whole

    from .common import CommandError, Exit

    try:
        write_whole(Path(name), text.encode("utf-8"))
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {error.strerror}.", Exit.UNREACHABLE) from None


def _show(progress: Progress) -> None:
    total = f"{progress.done} of {progress.total}" if progress.total else ""
    sys.stderr.write(f"\r\x1b[KLooking at {progress.doing} {total}")
    sys.stderr.flush()


def _silent(progress: Progress) -> None:
    """Nobody watches."""


def _wipe() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80


def _height(args: Namespace) -> int | None:
    """The rows that the answer has; None: as many as it takes."""
    import shutil

    if args.all or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size((80, 24)).lines


def _colour() -> bool:
    import os

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _code(args: Namespace, answer: Report) -> int:
    from gambeson.model.finding import Severity

    from .common import Exit

    if answer.worst >= Severity[args.fail_on.upper()]:
        return Exit.WRONG
    return Exit.INCOMPLETE if answer.missing else Exit.GOOD
