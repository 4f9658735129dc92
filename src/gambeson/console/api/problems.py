"""What the API says when it does not do something: one document for every status (RFC 9457).

``reason`` is a stable word for programs, ``detail`` one sentence for people, ``pointer`` the place in the body that is
meant (RFC 6901), ``parameter`` the one in the query.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from gambeson.console.office import RefusedError, StepUpError
from gambeson.store.errors import BadValue, Conflict, NotFound, StoreError

KIND = "application/problem+json"
REALM = "gambeson"
_NOT_FOUND = "There is nothing here, or it is not yours to see."
_log = logging.getLogger("gambeson.console")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Why it was not done."""

    title: str
    status: int
    reason: str
    type: str = "about:blank"
    detail: str = ""
    pointer: str = ""
    parameter: str = ""


class ApiError(Exception):
    """An answer that is a problem. ``headers`` go with it."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        pointer: str = "",
        parameter: str = "",
    ) -> None:
        super().__init__(reason)
        self.status, self.headers = status, dict(headers or {})
        self.problem = Problem(
            title=HTTPStatus(status).phrase,
            status=status,
            reason=reason,
            detail=detail,
            pointer=pointer,
            parameter=parameter,
        )


def not_found() -> ApiError:
    """The one answer for what is not there and for what the asker must not know of."""
    return ApiError(404, "not-found", _NOT_FOUND)


def forbidden(detail: str, reason: str = "not-allowed") -> ApiError:
    """The token is good and does not open this (RFC 6750 section 3.1)."""
    challenge = f'Bearer realm="{REALM}", error="insufficient_scope"'
    return ApiError(403, reason, detail, headers={"www-authenticate": challenge})


def of(error: Exception) -> ApiError:
    """The answer that an exception becomes. What nobody foresaw is logged, and told to nobody."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RefusedError):
        if error.status == 404:
            return not_found()
        if error.status == 403:
            return forbidden(error.sentence, error.reason)
        headers = {"retry-after": "5"} if error.status == 503 else {}
        return ApiError(error.status, error.reason, error.sentence, headers=headers)
    if isinstance(error, StepUpError):
        return forbidden("A person does this at the console.", "step-up")
    if isinstance(error, NotFound):
        return not_found()
    if isinstance(error, Conflict):
        return ApiError(409, "conflict", str(error))
    if isinstance(error, BadValue):
        return ApiError(422, "bad-value", str(error))
    if isinstance(error, StoreError):
        _log.error("the store: %s", error)
        detail = "The store does not answer right now: try again in a moment."
        return ApiError(503, "store", detail, headers={"retry-after": "5"})
    _log.error("the API failed: %s", type(error).__name__, exc_info=error)
    return ApiError(500, "failed", "Something went wrong here; it was written to the log.")


_AT = re.compile(r"^(.*?) - at `(?:key in )?\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def invalid(error: msgspec.ValidationError, *, query: bool = False) -> ApiError:
    """A body or a query that is not as the document says."""
    found = _AT.match(str(error))
    sentence, path = (found[1], found[2]) if found else (str(error), "")
    steps = [name or number for name, number in _STEP.findall(path)]
    sentence = sentence[:500] + ("." if not sentence.endswith(".") else "")
    if query:
        return ApiError(422, "bad-query", sentence, parameter=steps[0] if steps else "")
    pointer = "".join("/" + s.replace("~", "~0").replace("/", "~1") for s in steps)
    return ApiError(422, "bad-body", sentence, pointer=pointer)
