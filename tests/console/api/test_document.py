"""The document says what there is, is valid, and is the one that was committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from console.api.client import BASE, Client, body_of, furnish, owner, path_of, token
from console.lab import Lab
from gambeson.console.api import document
from gambeson.console.api.operation import operations

COMMITTED = Path(__file__).parents[3] / "docs/schemas/openapi.json"
TABLE = operations()


def served(lab: Lab) -> dict[str, Any]:
    answer = Client(lab.app).send("GET", f"{BASE}/openapi.json")
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def test_the_committed_document_is_current() -> None:
    assert COMMITTED.read_text("utf-8") == document.text(TABLE), "write it anew: ./dev docs"


def test_it_is_open_and_of_this_version(lab: Lab) -> None:
    found = served(lab)
    assert found["info"]["version"] == "0.0.0"
    found["info"]["version"] = "1"
    assert found == json.loads(COMMITTED.read_text("utf-8"))


def test_every_operation_is_described() -> None:
    found = document.make(TABLE, "1")
    described = {
        (path, method.upper()): o for path, methods in found["paths"].items() for method, o in methods.items()
    }
    assert set(described) == {(BASE + o.path, o.method) for o in TABLE}
    for operation in TABLE:
        said = described[(BASE + operation.path, operation.method)]
        assert said["summary"], operation.name
        named = {p["name"] for p in said["parameters"] if p["in"] == "path"}
        assert named == set(operation.parameters)
        assert ("Idempotency-Key" in {p["name"] for p in said["parameters"]}) is (operation.method == "POST")
        for status, answer in said["responses"].items():
            if int(status) >= 400:
                name = answer["$ref"].rpartition("/")[2]
                assert set(found["components"]["responses"][name]["content"]) == {"application/problem+json"}


def test_every_reference_leads_somewhere() -> None:
    found = document.make(TABLE, "1")

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                place: Any = found
                for step in value["$ref"].removeprefix("#/").split("/"):
                    place = place[step]
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(found)


def test_every_answer_is_as_described(lab: Lab) -> None:
    found, things = served(lab), furnish(lab, "acme")
    client = Client(lab.app, token(lab, owner(lab)))
    seen = 0
    for operation in TABLE:
        said = found["paths"][BASE + operation.path][operation.method.lower()]["responses"]
        answer = client.send(
            operation.method, path_of(operation, things.ids), body_of(operation, things, lab)
        )
        assert str(answer.status) in said, (operation.name, answer.status)
        schema = said[str(answer.status)]
        if "$ref" in schema:
            schema = found["components"]["responses"][schema["$ref"].rpartition("/")[2]]
        [content] = schema["content"].items()
        assert answer.header("content-type") == content[0]
        whole = {**content[1]["schema"], "components": found["components"]}
        jsonschema.Draft202012Validator(whole).validate(json.loads(answer.body))
        seen += answer.status < 300
    assert seen > 30
