"""Binding codes as the console makes them: drawn here, known to the keeper alone, shown or printed once."""

from __future__ import annotations

from gambeson.console.office import Office, RefusedError
from gambeson.model.device_secret import ALPHABET
from gambeson.process.keeper_client import KeeperGone, KeeperRefused
from gambeson.process.portal_messages import BINDING_CONTEXT

LENGTH, GROUP = 16, 4  # characters of 5 bits: 80 bits


def portal(office: Office) -> str:
    """The address of the page where a code is typed. Raises RefusedError where there is no portal."""
    if not office.facts.portal:
        raise RefusedError(
            "no-portal", "There is no portal where a code could be used: give it a name in the settings file."
        )
    return f"{office.facts.portal.rstrip('/')}/enrol"


def draw(office: Office, account: str) -> tuple[str, bytes]:
    """A new code of 80 random bits, in groups, and what the store keeps of it. Raises RefusedError."""
    value = int.from_bytes(office.world.random(LENGTH * 5 // 8))
    drawn = "".join(ALPHABET[(value >> 5 * i) & 31] for i in range(LENGTH))
    text = "-".join(drawn[i : i + GROUP] for i in range(0, LENGTH, GROUP))
    try:
        return text, office.world.keeper.code_verifier(text, BINDING_CONTEXT + account)
    except KeeperRefused as refused:
        raise RefusedError("keeper", f"The keeper makes no code: {refused}.", 409) from None
    except KeeperGone:
        raise RefusedError(
            "keeper", "The keeper does not answer: see gambeson doctor on the machine.", 503
        ) from None
