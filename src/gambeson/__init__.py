"""Gambeson: mail armour. One self-hosted system that defends an organisation's mail server.

The map of the code is ``docs/architecture.md``.
"""

__version__ = "0.1.0"
