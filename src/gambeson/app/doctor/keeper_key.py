"""The keeper's key: it opens the sealed keys, and nobody else may read it."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator

from gambeson.app.keeper_child import open_keeper_keys
from gambeson.app.plan import Planner
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.keeper_client import AdminKeeper
from gambeson.process.sealing import SealingError
from gambeson.settings import SettingsError

from .result import Check, Patient, failed, ok, warning

TURN = 30
NAME = "keeper"


def look(patient: Patient) -> Iterator[Check]:
    """Mode of the key file; the keys open (in the running keeper, else here); their public half is the written one."""
    folder = patient.place.keeper
    key = patient.config.keeper.key
    file = folder / "master.key"
    if key is not None and key.kind == "file":
        file = type(file)(key.name)
    if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield failed(NAME, f"Others may read the keeper's key {file}.", f"Run: chmod 0600 {file}")
        return
    where = str(file) if file.is_file() else "no file here (a credential, variable or passphrase)"
    token = _token_key(patient)
    if token is None:
        return
    if isinstance(token, Check):
        yield token
        return
    written = patient.place.token_key
    if written.is_file() and written.read_text() != token:
        yield failed(
            NAME,
            f"{written} is not the public half of the key that signs tokens.",
            "Restart Gambeson; it is written anew.",
        )
        return
    yield ok(NAME, f"Its keys open. The master key is {where}.")


def _token_key(patient: Patient) -> str | Check | None:
    try:
        return AdminKeeper(patient.place.run / "keeper.sock").public_keys().token_pem
    except ChannelRefused as error:
        return failed(
            NAME, f"The keeper refuses us: {error}.", "Run the doctor as root or as the owner of the data."
        )
    except ChannelGone:
        pass
    if not (patient.place.keeper / "keys.sealed").is_file():
        return warning(NAME, "There are no keys yet.", "They are made at the first start.")
    try:
        parameters = Planner(patient.place, patient.config, ()).keeper_parameters()
        return open_keeper_keys(parameters, time.time()).token_pem
    except (SealingError, SettingsError, OSError) as error:
        return failed(
            NAME,
            f"The keeper does not run, and its keys do not open here: {error}.",
            "Bring the key back (from a backup, the credential or the passphrase).",
        )
