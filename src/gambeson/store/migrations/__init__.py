"""Migrations, run by :mod:`gambeson.store.migrate`; one folder for each lineage.

A migration says each table in full, so that it does the same in ten years whatever ``schema.py``
says then. A test compares the result with ``schema.py``, up, down and up again on both databases.
"""
