"""Our own doors: each answers with its greeting, and shows a certificate that a mail program accepts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gambeson.model.access import Listener
from gambeson.model.server import Endpoint, UpstreamTls

from .certificate_facts import facts
from .probe import Answer, ProbeError, ask
from .result import DAY, Check, Patient, days, failed, ok, warning

TURN = 60
NAME = "certificate"
SOON = 21 * DAY


def look(patient: Patient) -> Iterator[Check]:
    """Every listener that the running installation has, by the address it really listens on."""
    listening = {name: address for name, address in patient.ready.get("doors", {}).items() if address}
    names = _names(patient)
    served: dict[str, tuple[bytes, str]] = {}
    for listener, address in listening.items():
        endpoint = _endpoint(patient, Listener(listener), address)
        try:
            answer = ask(endpoint, patient.seconds, patient.ready.get("ca") or "", names[0])
        except ProbeError as error:
            yield failed(
                f"door {listener}",
                f"{address} does not answer as it should: {error}.",
                "See the log of the doors.",
            )
            continue
        if endpoint.tls is UpstreamTls.STARTTLS and _offers_passwords(answer):
            yield failed(
                f"door {listener}",
                f"{address} takes sign-ins before TLS.",
                "This is a fault of Gambeson; report it.",
            )
        else:
            yield ok(f"door {listener}", f"{address} answers, {answer.tls_version}.")
        served.setdefault(names[0], (answer.certificate, answer.distrust))
    if listening:
        for name in names[1:]:
            listener, address = next(iter(listening.items()))
            try:
                answer = ask(_endpoint(patient, Listener(listener), address), patient.seconds, "", name)
            except ProbeError:
                continue
            served[name] = (answer.certificate, answer.distrust)
    for name, (certificate, distrust) in served.items():
        yield from judge(patient, name, certificate, distrust)


def _names(patient: Patient) -> list[str]:
    """The host names that clients use, the one in greetings first."""
    first = patient.config.doors.hostname or ("mail.localhost" if not patient.config_file else "localhost")
    more = [name for each in patient.config.tls.name for name in each.names if not name.startswith("*.")]
    return [first, *(name for name in more if name != first)]


def _endpoint(patient: Patient, listener: Listener, address: str) -> Endpoint:
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104 - compared, not bound
    behind = any(
        ipaddress.ip_address(host) in ipaddress.ip_network(each)
        for each in patient.config.doors.proxy_protocol_from
    )
    way = UpstreamTls.IMPLICIT if listener.implicit_tls else UpstreamTls.STARTTLS
    return Endpoint(listener.door, host=host, port=int(port), tls=way, proxy_v2=behind)


def _offers_passwords(answer: Answer) -> bool:
    return any(offer.startswith("AUTH=") or offer == "USER" for offer in answer.before)


def judge(patient: Patient, host: str, der: bytes, distrust: str) -> Iterator[Check]:
    """The certificate that was shown to who asked for ``host``."""
    try:
        found = facts(der)
    except ValueError as error:
        yield failed(NAME, f"The certificate for {host} cannot be read: {error}.", "Get another.")
        return
    renew = "Renew it, then: systemctl reload gambeson"
    left = found.ends - patient.now
    text = f"{host}: {found.key}, ends in {days(left)}"
    if left <= 0:
        yield failed(NAME, f"The certificate for {host} ended {days(-left)} ago.", renew)
    elif found.starts > patient.now:
        yield failed(NAME, f"The certificate for {host} is not valid yet.", "Set the clock, or wait.")
    elif not found.covers(host):
        yield failed(
            NAME,
            f"The certificate is for {', '.join(found.names[:5]) or 'no name'}, not for {host}.",
            "Get one with that name, or set doors.hostname to a name it has.",
        )
    elif stale := _newer_on_disk(patient, host, der):
        yield failed(
            NAME, f"{stale} is newer than what the doors show.", "Run: systemctl reload gambeson (or SIGHUP)"
        )
    elif left < SOON:
        yield failed(NAME, f"{text}.", renew)
    elif found.weak:
        yield warning(NAME, f"{text}; {found.weak}.", "Get one with an ECDSA P-256 or RSA 2048 key.")
    elif not patient.config.tls.certificate:
        yield warning(
            NAME,
            f"{text}; signed by Gambeson's own authority.",
            "For trying out only. For people: tls.certificate and tls.key from a public authority.",
        )
    elif distrust:
        yield warning(
            NAME,
            f"{text}; nothing that this machine trusts vouches for it ({distrust}).",
            "From a public authority: put the whole chain (fullchain.pem) into tls.certificate. "
            "From your own: every device has to trust it.",
        )
    else:
        yield ok(NAME, f"{text}, names and chain are good.")


def _newer_on_disk(patient: Patient, host: str, served: bytes) -> str:
    """The file whose certificate should be shown for ``host`` and is not; empty where all is well."""
    path = patient.config.tls.certificate
    for each in patient.config.tls.name:
        if host in each.names:
            path = each.certificate
    if not path:
        return ""
    try:
        leaf = x509.load_pem_x509_certificate(Path(path).read_bytes()).public_bytes(Encoding.DER)
    except (OSError, ValueError):
        return ""
    return path if leaf != served else ""
