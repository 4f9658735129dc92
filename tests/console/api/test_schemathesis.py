"""Schemathesis reads the API's document and tries what it can think of, with an owner's token."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from console.api.client import Things, furnish, owner, token
from console.lab import Lab
from gambeson.console.api.operation import operations

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"
    ),
]
DOCUMENT = Path(__file__).parents[3] / "docs/schemas/openapi.json"
RUN = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
    "negative_data_rejection",
    "allow_header_conformance",
)
# Too long is answered before it is looked at.
REFUSALS = "expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 429]"
# The worker is not there in this test, and says so with 503.
WITHOUT = ("sessions.list", "sessions.end")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Things, str]]:
    """The application behind a socket: its port, an organisation, and a token. Its clock goes on with every look."""
    with Lab(tmp_path) as lab:
        things = furnish(lab, "acme")
        text = token(lab, owner(lab))

        def clock() -> float:
            lab.later(1)
            return lab.clock.now

        lab.world.clock = clock
        server = uvicorn.Server(
            uvicorn.Config(lab.app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", things, text
        server.should_exit = True
        thread.join(20)


def tried(place: str, things: Things, text: str, folder: Path, document: Path, *more: str) -> tuple[int, str]:
    """How schemathesis ended, and what it says. It is told things that are there, to come further."""
    names = ("organisation", "account", "device", "finding", "action", "door", "version")
    lines = [f'"path.{name}" = "{things.ids[name]}"' for name in names]
    settings = folder / "schemathesis.toml"
    settings.write_text("\n".join(["[parameters]", *lines, "[checks.negative_data_rejection]", REFUSALS, ""]))
    without = [word for name in WITHOUT for word in ("--exclude-operation-id", name)]
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-c",
                RUN,
                "--config-file",
                str(settings),
                "run",
                str(document),
                "--url",
                place,
            ),
            *("--header", "Host: localhost:8443", "--header", f"Authorization: Bearer {text}"),
            *("--max-examples", "25", "--seed", "1", "--no-color", "--request-timeout", "30"),
            *("--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS), *without, *more),
        ],
        env={**os.environ, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    said = re.sub(r"(.)\1{40,}", r"\1...", done.stdout)
    return done.returncode, said[-8000:] + done.stderr[-2000:]


def test_the_api_answers_what_its_document_says(served: tuple[str, Things, str], tmp_path: Path) -> None:
    ended, said = tried(*served, tmp_path, DOCUMENT)
    assert ended == 0, said
    assert f"Tested: {len(operations()) - len(WITHOUT)}" in said


def test_a_document_that_promises_something_else_is_found_out(
    served: tuple[str, Things, str], tmp_path: Path
) -> None:
    changed = json.loads(DOCUMENT.read_text("utf-8"))
    changed["components"]["schemas"]["OrganisationDocument"]["properties"]["name"] = {"type": "integer"}
    document = tmp_path / "changed.json"
    document.write_text(json.dumps(changed))
    ended, said = tried(*served, tmp_path, document, "--include-operation-id", "organisations.list")
    assert ended == 1, said
    assert "violates schema" in said
