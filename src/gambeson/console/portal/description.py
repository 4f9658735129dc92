"""The portal as an OpenAPI 3.1 document: every route with its fields, limits and answers.

It is made from the routes themselves and the tables below; ``docs/schemas/portal-api.json`` is its text. People use the
portal with a browser, so this is no interface for programs: it is what the portal promises to answer, and a test
(``tests/interop/test_portal_openapi.py``) holds a running one against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gambeson.console.web.visit import MAX_BODY, MAX_FIELDS
from gambeson.guard.core.web.clients import SetUp, load_clients

from .app import FORM, ROUTES
from .programs import OTHER

# Characters at most. Longer is 400.
_SHORT, _PATH, _TYPED, _CREDENTIAL = 512, 2048, 4096, 32768
TARGET = {"host": _SHORT, "state": _SHORT, "to": _PATH}
CREDENTIAL = {"credential": _CREDENTIAL}
WORDS = {
    "kind": ["totp", "recovery"],
    "for": ["alone", "get", "create"],
    "back": ["device", "factor", "factors"],
    "alarm": ["", "1"],
    "certificate": ["", "1"],
    "program": [*(one.id for one in load_clients().all if one.setup is not SetUp.ADMINISTRATOR), OTHER],
}
PATTERNS = {"state": "^([0-9a-f]{64})?$", "to": "^(/[!-~]*)?$"}
IN_QUERY = ("POST /passkey/options",)  # a form without fields
# Method and path -> the fields of its query or form, and what it answers besides SHARED.
FIELDS: dict[str, dict[str, int]] = {
    "GET /sign-in": TARGET,
    "POST /sign-in": {"address": _TYPED, "password": _TYPED, **TARGET},
    "POST /sign-in/passkey": CREDENTIAL | TARGET,
    "POST /second/code": {"kind": _SHORT, "code": _SHORT},
    "POST /second/passkey": CREDENTIAL,
    "GET /step-up": {"back": _SHORT},
    "POST /passkey/options": {"for": _SHORT},
    "GET /enrol": TARGET,
    "POST /enrol": {"address": _TYPED, "password": _TYPED, "code": _TYPED, **TARGET},
    "POST /factors/totp": {"code": _SHORT, "name": _SHORT},
    "POST /factors/passkey": CREDENTIAL | {"name": _SHORT},
    "GET /enter": TARGET,
    "POST /password": {"password": _TYPED, **TARGET},
    "GET /": {"said": _SHORT},
    "GET /devices/{device}/end": {"alarm": _SHORT},
    "POST /devices/{device}/end": {"alarm": _SHORT},
    "POST /devices/new": {"name": _SHORT, "program": _SHORT, "certificate": _SHORT},
}
ANSWERS: dict[str, tuple[int, ...]] = {
    "GET /step-up": (303,),
    "GET /devices": (303,),
    "POST /sign-in": (303,),
    "POST /sign-in/passkey": (303,),
    "POST /enrol": (303,),
    "POST /second/code": (303,),
    "POST /second/passkey": (303,),
    "POST /password": (303,),
    "POST /factors/totp": (200, 303),
    "POST /factors/passkey": (200, 303),
    "POST /factors/recovery": (200, 303),
    "POST /sessions/end-others": (303,),
    "POST /sessions/{session}/end": (303, 404),
    "POST /not-me": (303,),
    "GET /devices/{device}/end": (200, 303, 404),
    "POST /devices/{device}/end": (200, 303, 404),
    "GET /factors/{factor}/remove": (200, 303, 404),
    "POST /factors/{factor}/remove": (303, 404),
    "POST /devices/new": (200, 303, 422),
    "GET /d/{token}": (200, 404),
    "GET /d/{token}/profile": (200, 404),
    "POST /d/{token}/show": (200, 404),
    "GET /static/{name}": (200, 404),
}
USUAL = (200, 303)
SHARED = (400, 405, 408, 414, 421, 429, 431, 503)
OF_FORMS = (403, 409, 413, 415)
KINDS = {
    "POST /passkey/options": "application/json",
    "GET /d/{token}/profile": "application/x-apple-aspen-config",
}
SENTENCES = {
    200: "The page.",
    303: "On to another page: to sign in, to prove a second factor again, or because it is done.",
    400: "Not understood: fields that are too long, come twice, or are no text; a step that was not begun.",
    403: "Wrong proof, or the form came from another origin than the portal's own.",
    404: "No such page, device, session, factor or link.",
    405: "Another method than GET, HEAD and POST, or one that the page does not know.",
    408: "The form did not come in time.",
    409: "Refused, and nothing was done.",
    413: f"The form has more than {MAX_BODY} octets.",
    414: "The address is too long.",
    415: f"The form is no {FORM}.",
    421: "This is not the portal's host.",
    422: "A name is missing.",
    429: "Too many tries.",
    431: "The request's head is too long.",
    503: "Not now; nothing was done.",
}


def description() -> dict[str, Any]:
    """The document. Raises KeyError where a table names a route that is not there."""
    served = [(each.method, each.path.replace(":str}", "}"), each.handler.__doc__ or "") for each in ROUTES]
    served.append(("GET", "/static/{name}", "Style, script and icon."))
    if lost := {*FIELDS, *ANSWERS, *KINDS, *IN_QUERY} - {f"{method} {path}" for method, path, _ in served}:
        raise KeyError(min(lost))
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary in served:
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, " ".join(summary.split()))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gambeson portal",
            "version": "1",
            "description": (
                "Pages for people at a browser, described so that a test can hold them against it. A session is the "
                "cookie __Host-gambeson-portal; without it most pages lead to /sign-in. A form needs the header "
                "Origin with exactly the portal's own, and has at most "
                f"{MAX_FIELDS} fields and {MAX_BODY} octets."
            ),
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "responses": {str(status): _described(status) for status in SENTENCES if status != 200}
        },
    }


def _operation(method: str, path: str, summary: str) -> dict[str, Any]:
    name = f"{method} {path}"
    parts = list(_path_parts(path))
    fields = {field: _schema(field, limit) for field, limit in FIELDS.get(name, {}).items()}
    statuses = {*ANSWERS.get(name, USUAL), *SHARED, *(OF_FORMS if method == "POST" else ())}
    kind = KINDS.get(name, "text/html")
    made: dict[str, Any] = {
        "operationId": re.sub(
            r"[^a-z]+", "-", f"{name} first".lower() if path == "/" else name.lower()
        ).strip("-"),
        "summary": summary,
        "parameters": parts,
        "responses": {str(status): _answer(status, name, kind) for status in sorted(statuses)},
    }
    if method == "GET" or name in IN_QUERY:
        made["parameters"] = parts + [
            {"name": field, "in": "query", "schema": schema} for field, schema in fields.items()
        ]
    elif fields:
        made["requestBody"] = {"content": {FORM: {"schema": {"type": "object", "properties": fields}}}}
    return made


def _path_parts(path: str) -> Iterator[dict[str, Any]]:
    for part in re.findall(r"{([a-z]+)}", path):
        schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9_.-]+$"}
        yield {"name": part, "in": "path", "required": True, "schema": schema}


def _schema(field: str, limit: int) -> dict[str, Any]:
    if field in WORDS:
        return {"type": "string", "enum": WORDS[field]}
    pattern = {"pattern": PATTERNS[field]} if field in PATTERNS else {}
    return {"type": "string", "maxLength": limit, **pattern}


def _answer(status: int, name: str, kind: str) -> dict[str, Any]:
    if status != 200:
        return {"$ref": f"#/components/responses/{status}"}
    content: dict[str, Any] = {} if name.startswith("GET /static/") else {"content": {kind: {}}}
    return {"description": SENTENCES[200], **content}


def _described(status: int) -> dict[str, Any]:
    made: dict[str, Any] = {"description": SENTENCES[status]}
    if status == 303:
        made["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    return made
