"""The scorer's own log on stderr: words for a person, or one JSON object per line with ECS names.

Nothing here ever holds a token or the text of a log line: of errors that are not ours only the type and the place are
told, since their words may quote what they failed on.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import orjson

from logmeta.errors import LogmetaError
from logmeta.records import JsonValue

logger = logging.getLogger(__name__)

ECS_VERSION: Final = "8.17.0"
_TEXT: Final = "%(asctime)s %(levelname)s %(message)s"


def start_logging(log_format: str) -> None:
    """Send every logger's records to stderr; `auto` is text on a terminal and JSON elsewhere."""
    is_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter(_TEXT) if is_text else EcsFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("logmeta").setLevel(logging.INFO)


@contextlib.contextmanager
def errors_told_here() -> Iterator[None]:
    """A user's mistake ends the process with its exit code, and is told in the log's own format."""
    try:
        yield
    except LogmetaError as error:
        logger.critical(str(error), extra={"event.action": "fail", "error.type": type(error).__name__})
        sys.exit(error.exit_code)


class TextFormatter(logging.Formatter):
    """A line of words; an unforeseen error's place below it, without its words."""

    def formatException(self, ei: object) -> str:  # noqa: N802  the name that logging calls
        error = ei[1] if isinstance(ei, tuple) else None
        return _place(error) + f"{type(error).__name__}" if isinstance(error, BaseException) else ""


class EcsFormatter(logging.Formatter):
    """One JSON object per line. What a call gives as `extra` under a dotted name is a field of that name."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, JsonValue] = {
            "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "log.level": record.levelname.lower(),
            "message": record.getMessage(),
            "ecs.version": ECS_VERSION,
            "log.logger": record.name,
            "process.pid": record.process,
            "service.name": "logmeta-scorer",
            **_extra(vars(record)),
        }
        if record.exc_info and record.exc_info[1]:
            fields |= _error(record.exc_info[1])
        return orjson.dumps(fields, default=str).decode()


def _extra(given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in given.items() if "." in name}


def _error(error: BaseException) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {"error.type": type(error).__name__, "error.stack_trace": _place(error)}
    return told | ({"error.message": str(error)} if isinstance(error, LogmetaError) else {})


def _place(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__))
