"""A page of the surveyed stack, to hold the console's against: Litestar with a handler on a thread, SQLAlchemy Core,
Jinja, uvicorn with TLS. One page of fifty devices with their accounts out of the same database by two queries, with no
sign-in, no rights, no side bar and no languages: the least that a database page can be.

    python console_peer.py DATABASE CERTIFICATE KEY PORT
"""

from __future__ import annotations

import sys

import jinja2
import sqlalchemy as sa
import uvicorn
from litestar import Litestar, Response, get

PAGE = jinja2.Environment(autoescape=True).from_string(
    """<!doctype html><html lang="en"><head><title>Devices</title></head><body><h1>Devices ({{ total }})</h1>
<table><thead><tr><th>Name</th><th>Account</th><th>State</th><th>Doors</th><th>Created</th></tr></thead><tbody>
{% for row in rows %}<tr><th>{{ row.name }}</th><td>{{ row.address }}</td><td>{{ row.state }}</td>
<td>{{ row.doors }}</td><td>{{ row.created_at }}</td></tr>{% endfor %}</tbody></table></body></html>"""
)
ROWS = sa.text(
    "SELECT d.name, a.address, d.state, d.doors, d.created_at FROM devices d JOIN accounts a ON a.id = d.account "
    "AND a.organisation = d.organisation WHERE d.organisation = :org ORDER BY a.address LIMIT 50"
)
TOTAL = sa.text("SELECT count(*) FROM devices WHERE organisation = :org")


def main(database: str, certificate: str, key: str, port: str) -> None:
    """Serve until killed."""
    engine = sa.create_engine(f"sqlite:///{database}")

    @get("/devices", sync_to_thread=True)
    def devices(org: str) -> Response[str]:
        with engine.connect() as conn:
            rows = conn.execute(ROWS, {"org": org}).all()
            total = conn.execute(TOTAL, {"org": org}).scalar()
        return Response(PAGE.render(rows=rows, total=total), media_type="text/html")

    app = Litestar([devices], openapi_config=None)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
