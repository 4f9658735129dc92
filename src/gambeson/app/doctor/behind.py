"""What stands behind the doors: whether it answers, over TLS that holds."""

from __future__ import annotations

from collections.abc import Generator

from gambeson.model.server import Endpoint

from .probe import Answer, ProbeError, ask
from .result import Check, Patient, failed, ok


def where(endpoint: Endpoint) -> str:
    """An address for people."""
    return endpoint.unix or f"{endpoint.host}:{endpoint.port}"


def reached(
    patient: Patient, name: str, endpoint: Endpoint, section: str, embedded: str
) -> Generator[Check, None, Answer | None]:
    """The endpoint's answer; None where it has none that can be trusted, and then a check has said so. ``section`` of
    the settings names it; ``embedded`` is what the playground's own one is called."""
    try:
        answer = ask(endpoint, patient.seconds)
    except ProbeError as error:
        if not endpoint.unix.startswith("@"):
            remedy = f"Start it, or correct the address of this {section}."
            yield failed(name, f"{where(endpoint)}: {error}.", remedy)
        elif patient.health is not None:  # the playground's own hangs up on everybody but the doors
            yield ok(name, f"The playground's own {embedded} is there, and talks to the doors only.")
        return None
    if answer.distrust:
        yield failed(
            name,
            f"{where(endpoint)}: its certificate does not hold ({answer.distrust}).",
            f"Set ca, pin or server_name of this {section} to what is right.",
        )
        return None
    return answer
