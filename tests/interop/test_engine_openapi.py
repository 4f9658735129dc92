"""Schemathesis reads the decision API's own document from the live listener and tries what it can think of."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys

import pytest

from guard.edge.engines import KEY, Api, with_api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"
    ),
]
RUN = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"


def test_the_document_says_what_the_api_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gambeson.guard.edge.decision_api._WRONG_KEY_SECONDS", 0.0)

    async def conversation(api: Api) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RUN, "run", f"http://127.0.0.1:{api.port}/openapi.json"),
            *("--url", f"http://127.0.0.1:{api.port}", "--header", f"X-API-Key: {KEY}"),
            *("--max-examples", "25", "--seed", "1", "--no-color", "--phases", "examples,fuzzing"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance,unsupported_method"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()[-4000:]

    with_api(conversation)
