"""Our own answers, in the shape of Elasticsearch's errors: shippers know what to do with them."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from logmeta.records import JsonValue


def refusal(status: int, kind: str, reason: str) -> Response:
    """An error as Elasticsearch would tell it; 429 asks to send the same again."""
    cause: dict[str, JsonValue] = {"type": kind, "reason": f"logmeta proxy: {reason}"}
    body: dict[str, JsonValue] = {"error": {"root_cause": [cause], **cause}, "status": status}
    headers = {"Retry-After": "1"} if status == 429 else None
    return answer(body, status=status, headers=headers)


def answer(body: dict[str, JsonValue], *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
