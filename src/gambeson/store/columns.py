"""What the control tables are written with: their metadata, and the two kinds of column that most of them have."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, Float, Text

control_metadata = sa.MetaData()


def text(name: str, **more: object) -> Column[str]:
    """A column of text, which is never NULL."""
    return Column(name, Text, nullable=False, **more)  # type: ignore[arg-type]  # keywords as given


def time(name: str) -> Column[float]:
    """A column of a time: seconds since 1970; 0 means never."""
    return Column(name, Float(53), nullable=False)
