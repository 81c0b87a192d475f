"""Messages that wait stand in a file too, so that neither a restart nor a crash loses them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson

from logmeta.atomic import write_text
from logmeta.serve.delivery.notice import SEVERITIES, Notice
from logmeta.serve.delivery.settings import ACTION

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 64 << 20


class Kept:
    """One scorer's file, which only its user may read. Nothing here raises: a message is more than its copy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = True

    def read(self, most: int) -> list[Notice]:
        """The messages of before, in their order; an unusable file is moved to `.damaged`, and told."""
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise ValueError(f"{self.path.stat().st_size} bytes, {MAX_BYTES} are read")
            return [_notice(fields) for fields in orjson.loads(self.path.read_bytes())[:most]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            self._set_aside(error)
            return []

    def write(self, notices: Sequence[Notice]) -> bool:
        """Keep these and no others; whether that worked."""
        try:
            if notices:
                write_text(self.path, orjson.dumps([asdict(notice) for notice in notices]).decode(), mode=0o600)
                self._written = True
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            self._tell(error)
            return False
        return True

    def _tell(self, error: OSError) -> None:
        if self._written:
            logger.error("messages for the webhook cannot be kept in %s: %s", self.path, error, extra=ACTION)
        self._written = False

    def _set_aside(self, error: Exception) -> None:
        logger.error("%s holds no messages for the webhook (%s), it is set aside", self.path, error, extra=ACTION)
        try:
            self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
        except OSError as second:
            logger.error("%s could not be set aside: %s", self.path, second, extra=ACTION)


def _notice(fields: dict[str, object]) -> Notice:
    """Raises TypeError or ValueError for what is none."""
    notice = Notice(**fields)  # type: ignore[arg-type]  # checked below
    texts = (notice.kind, notice.source, notice.text, notice.alike, notice.dedup_key, notice.at)
    counts = (notice.count, notice.sources)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(count, int) for count in counts):
        raise TypeError("a message has texts and counts")
    if notice.severity not in SEVERITIES or not isinstance(notice.told, dict):
        raise ValueError(f"a severity is one of {', '.join(SEVERITIES)}")
    return notice
