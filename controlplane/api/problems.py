"""Errors of the API as problem details (RFC 9457): one shape, one sentence for people in `detail`, and the fields to blame."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from contracts.errors import PortcullisError, Unusable
from controlplane.estate.edits_problems import Conflict, NotThere, Problems
from controlplane.state.values import Failed, Reused, Taken

log = logging.getLogger("control.api")

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field; `field` is its path, such as `labels.cost` or `models[1]`."""

    field: str
    detail: str


class Problem(PortcullisError):  # noqa: N818 - named after what RFC 9457 calls it
    """An answer that is a problem document. `code` is for programs, `detail` for people."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, tuple(errors)


def problem(
    status: int, code: str, detail: str, errors: Sequence[FieldProblem] = (), dependents: Sequence[tuple[str, str]] = ()
) -> web.Response:
    """A problem document. `dependents`: (kind, name) of the records that stand in the way."""
    document: dict[str, object] = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail,
    }  # fmt: skip
    if errors:
        document["errors"] = [asdict(error) for error in errors]
    if dependents:
        document["dependents"] = [{"kind": kind, "name": name} for kind, name in dependents]
    headers = {"cache-control": "no-store"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return web.Response(status=status, text=json.dumps(document), content_type=MEDIA_TYPE, headers=headers)


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever went wrong into a problem document; what was not foreseen is logged and not shown."""
    try:
        return await handler(request)
    except Problem as error:
        return problem(error.status, error.code, error.detail, error.errors)
    except Unusable as error:
        return _of_unusable(error)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _of_aiohttp(error)
    except Exception:
        log.exception("an endpoint broke")
        return problem(500, "internal_error", "The control plane broke on this request; its log says how.")


def _of_unusable(error: Unusable) -> web.Response:
    if isinstance(error, Problems):
        return problem(422, "unusable", str(error), [FieldProblem(*fault) for fault in error.errors])
    if isinstance(error, Conflict):
        return problem(409, error.code, _sentence(error), dependents=error.dependents)
    for kind, status, code in _UNUSABLE:
        if isinstance(error, kind):
            return problem(status, code, _sentence(error))
    return problem(422, "unusable", str(error))


_UNUSABLE: Final = (
    (NotThere, 404, "not_found"),
    (Taken, 409, "exists"),
    (Reused, 409, "idempotency_key_reused"),
    (Failed, 503, "state_unavailable"),
)
"""What is answered where a sentence says it all."""


def _sentence(error: Unusable) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _of_aiohttp(error: web.HTTPException) -> web.Response:
    answer = problem(error.status, (error.reason or "error").lower().replace(" ", "_"), _detail(error))
    if "allow" in error.headers:
        answer.headers["allow"] = error.headers["allow"]
    return answer


def _detail(error: web.HTTPException) -> str:
    if error.status == HTTPStatus.NOT_FOUND:
        return "There is no such endpoint."
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return "This endpoint does not take that method."
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "The request is larger than any declarative file should be."
    return error.text or error.reason or "The request can't be answered."
