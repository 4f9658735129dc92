from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from peers.postgresql import PostgreSql


@pytest.fixture
def postgresql_store(postgresql: PostgreSql) -> Iterator[str]:
    """An empty database on PostgreSQL, whose role stands below row-level security."""
    server = make_url(postgresql.url)
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    name = "sweep"
    with engine.connect() as conn:
        conn.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.exec_driver_sql("DROP ROLE IF EXISTS sweeper")
        conn.exec_driver_sql("CREATE ROLE sweeper LOGIN NOSUPERUSER NOBYPASSRLS")
        conn.exec_driver_sql(f"CREATE DATABASE {name} OWNER sweeper")
    yield str(server.set(database=name, username="sweeper"))
    engine.dispose()
