"""Rules as files: the policy an organisation starts with."""

from __future__ import annotations

from importlib.resources import files


def default_policy_text() -> str:
    """The TOML of the default policy (``default-policy.toml`` beside this file)."""
    return files(__name__).joinpath("default-policy.toml").read_text(encoding="utf-8")


def decision_api_text() -> bytes:
    """The OpenAPI description of the decision API (``decision-api.json`` beside this file)."""
    return files(__name__).joinpath("decision-api.json").read_bytes()


def texts(folder: str) -> dict[str, str]:
    """The TOML files of a folder beside this file (``grammar``, ``shields``), by name, in alphabetical order."""
    found = (one for one in files(__name__).joinpath(folder).iterdir() if one.name.endswith(".toml"))
    return {one.name: one.read_text(encoding="utf-8") for one in sorted(found, key=lambda one: one.name)}
