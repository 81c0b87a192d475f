"""Which sources a scorer used last: a small file beside the detectors, so that its next start is a warm one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from logmeta.atomic import write_text

logger = logging.getLogger(__name__)

_WRITE_EVERY_S: Final = 60.0


class LastUsed:
    """The sources in use, the latest last. Losing the file costs nothing but a warm start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = time.monotonic()

    def read(self) -> list[str]:
        try:
            found = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return []
        return [source for source in found if isinstance(source, str)] if isinstance(found, list) else []

    def keep(self, sources: Sequence[str], *, at_once: bool = False) -> None:
        """Write them beside and rename, at most once a minute unless asked to do it at once."""
        now = time.monotonic()
        if not at_once and now - self._written < _WRITE_EVERY_S:
            return
        self._written = now
        try:
            write_text(self._path, orjson.dumps(list(sources)).decode(), mode=0o600)
        except OSError as error:
            logger.warning("%s is not written, the next start will be a cold one: %s", self._path, error)
