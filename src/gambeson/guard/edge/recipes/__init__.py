"""Recipes: settings for other people's programs that put the doors before a mail server. ``guard export`` prints them.

Each recipe is one file here with a function from :class:`Facts` to files. Nothing is changed on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .dovecot import dovecot, dovecot24
from .facts import Facts, RecipeError
from .nginx import nginx
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

__all__ = ["RECIPES", "Facts", "RecipeError"]
