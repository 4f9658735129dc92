"""Migrations of the event tables."""
