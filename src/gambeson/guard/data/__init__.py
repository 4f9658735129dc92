"""Rules as files: the policy an organisation starts with."""

from __future__ import annotations

from importlib.resources import files


def default_policy_text() -> str:
    """The TOML of the default policy (``default-policy.toml`` beside this file)."""
    return files(__name__).joinpath("default-policy.toml").read_text(encoding="utf-8")
