"""Recipes: settings for other people's programs that put the doors before a mail server. ``guard export`` prints them.

Each recipe is one file here with a function from :class:`Facts` to files. Nothing is changed on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .dovecot import dovecot, dovecot24
from .dovecot_policy import dovecot24_policy, dovecot_policy
from .facts import Engine, Facts, RecipeError
from .nginx import nginx
from .nginx_web import nginx_web
from .postfix import postfix
from .systemd import systemd

if TYPE_CHECKING:
    Recipe = Callable[[Facts], Mapping[str, str]]

RECIPES: Mapping[str, Recipe] = {
    "dovecot": dovecot,
    "dovecot-2.4": dovecot24,
    "nginx": nginx,
    "postfix": postfix,
    "systemd": systemd,
}

# For engines that stay, and ask us: Facts.engine is set.
ENGINE_RECIPES: Mapping[str, Recipe] = {
    "dovecot": dovecot_policy,
    "dovecot-2.4": dovecot24_policy,
    "nginx": nginx_web,
}

__all__ = ["ENGINE_RECIPES", "RECIPES", "Engine", "Facts", "RecipeError"]
