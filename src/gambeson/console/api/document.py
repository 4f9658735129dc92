"""The document of the API (OpenAPI 3.1), made from the table of operations: what is not in the table is not there, and
what is in it is described."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import cleandoc
from typing import Any

import msgspec

from .operation import BASE, Operation
from .problems import KIND, Problem

_REFERENCE = "#/components/schemas/{name}"
_DESCRIPTION = """\
The operations of the console, for programs. A person makes a token at the console under Tokens; it names organisations
and verbs, and may at no time more than the person who answers for it. Whatever is not done is answered with
application/problem+json (RFC 9457). Lists come in parts: hand the `next` of a part back as `after`. A POST with an
`Idempotency-Key` is done once, however often it is sent within a day."""
# Any operation may answer so; more for those that take something.
_ALWAYS = {
    400: "The request cannot be read, or `after` is not of this list.",
    401: "There is no token that opens anything.",
    403: "The token lacks the verb.",
    404: "There is nothing here, or it is not the token's to see.",
    405: "The path knows no such method.",
    406: "The client takes no JSON.",
    413: "The body is too large.",
    414: "The query is too long.",
    415: "The body is not JSON.",
    421: "The host is another one.",
    422: "Query or body are not as described here, or say what cannot be.",
    429: "Too many requests.",
    500: "Something went wrong.",
    503: "The store, the keeper or the worker does not answer.",
}
_CHANGES = {409: "It does not fit how things are now, or a request with this key is being worked on."}
_HEADERS: Mapping[int, Mapping[str, Any]] = {
    401: {"WWW-Authenticate": "A challenge for Bearer (RFC 6750)."},
    405: {"Allow": "What can be done here."},
    429: {"Retry-After": "After how many seconds to ask again."},
}


def make(table: Sequence[Operation], version: str) -> dict[str, Any]:
    """The document."""
    taken = [kind for o in table for kind in (o.body, o.answer) if kind is not None]
    queries = [o.query for o in table if o.query is not None]
    wanted = list(dict.fromkeys([Problem, *taken, *queries]))
    schemas, components = msgspec.json.schema_components(wanted, ref_template=_REFERENCE)
    components = {name: _flush(schema) for name, schema in components.items()}
    of = dict(zip(wanted, schemas, strict=True))
    parts = {query: components[of[query]["$ref"].rpartition("/")[2]] for query in queries}
    asked_only = {of[query]["$ref"].rpartition("/")[2] for query in queries} - {
        of[kind].get("$ref", "").rpartition("/")[2] for kind in taken
    }
    paths: dict[str, dict[str, Any]] = {}
    for operation in table:
        described = _operation(operation, of, parts)
        paths.setdefault(BASE + operation.path, {})[operation.method.lower()] = described
    statuses = {**_ALWAYS, **_CHANGES}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gambeson",
            "version": version,
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in dict.fromkeys(o.name.partition(".")[0] for o in table)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "gamt_PUBLICID_SECRET",
                    "description": "A token of the API.",
                }
            },
            "responses": {
                f"Problem{s}": _problem(s, said, of[Problem]) for s, said in sorted(statuses.items())
            },
            "schemas": {name: schema for name, schema in components.items() if name not in asked_only},
        },
    }


def _flush(schema: dict[str, Any]) -> dict[str, Any]:
    """A description is a docstring, which CPython strips of its indentation from 3.13 on."""
    said = schema.get("description")
    return schema | {"description": cleandoc(said)} if isinstance(said, str) else schema


def _operation(o: Operation, of: Mapping[Any, Any], parts: Mapping[Any, Any]) -> dict[str, Any]:
    errors = {**_ALWAYS, **(_CHANGES if o.method != "GET" else {})}
    good: dict[str, Any] = {"description": "Done." if o.method != "GET" else "What was asked for."}
    if o.answer is not None:
        good["content"] = {"application/json": {"schema": of[o.answer]}}
    if o.method == "POST":
        good["headers"] = {
            "Idempotency-Replayed": {
                "description": "true where this was done before, and is only said again.",
                "schema": {"type": "string", "enum": ["true"]},
            }
        }
    made: dict[str, Any] = {
        "operationId": o.name,
        "tags": [o.name.partition(".")[0]],
        "summary": o.summary,
        "description": f"Takes the verb {' or '.join(f'`{verb}`' for verb in o.verbs)}{_where(o)}.",
        "parameters": [*_in_path(o), *_in_query(o, parts), *_in_header(o)],
        "responses": {
            str(o.status): good,
            **{str(s): {"$ref": f"#/components/responses/Problem{s}"} for s in sorted(errors)},
        },
    }
    if o.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": of[o.body]}}}
    return made


def _where(o: Operation) -> str:
    if o.of_organisation:
        return " in this organisation"
    return " in some organisation" if o.anywhere else " in every organisation"


def _in_path(o: Operation) -> Iterable[dict[str, Any]]:
    schema = {"type": "string", "pattern": "^[A-Za-z0-9._@-]{1,254}$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in o.parameters]


def _in_query(o: Operation, parts: Mapping[Any, Any]) -> Iterable[dict[str, Any]]:
    if o.query is None:
        return []
    whole = parts[o.query]
    needed = whole.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": _asked(schema)}
        for name, schema in whole["properties"].items()
    ]


def _asked(schema: dict[str, Any]) -> dict[str, Any]:
    """A field of a query: one that is not given is left out and not null."""
    several = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(several) == 1:
        return {**several[0]}
    return {k: v for k, v in schema.items() if not (k == "default" and v is None)}


def _in_header(o: Operation) -> Iterable[dict[str, Any]]:
    if o.method != "POST":
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Makes it safe to send this again: it is done once.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
        }
    ]


def _problem(status: int, said: str, schema: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"description": said, "content": {KIND: {"schema": schema}}}
    headers = _HEADERS.get(status)
    if headers:
        made["headers"] = {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return made


def text(table: Sequence[Operation]) -> str:
    """The document as it is committed: without a version of its own."""
    return msgspec.json.format(msgspec.json.encode(make(table, "1")), indent=2).decode() + "\n"
