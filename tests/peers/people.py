"""The accounts that the shared peers know."""

from __future__ import annotations

ACCOUNTS = {
    "anna@example.org": "anna-upstream-password",
    "bert@example.org": "bert-upstream-password",
    "cleo@example.org": "cleo-upstream-password",
}
MASTER = ("door", "master-upstream-password")
