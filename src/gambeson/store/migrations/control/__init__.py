"""Migrations of the control tables."""
