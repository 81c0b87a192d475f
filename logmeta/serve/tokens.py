"""Who may ask: bearer tokens, kept as digests and read again when their file changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from logmeta.elastic.secrets import read_secrets
from logmeta.errors import UsageError

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
Stamp: TypeAlias = "tuple[int, int, int] | None"


class Tokens:
    """The tokens of a file or an environment variable. A changed file counts within a second, without a restart;
    while it cannot be used, the tokens before it stay."""

    def __init__(self, file: Path | None, variable: str) -> None:
        """Read them. Raises UsageError when the file cannot be used."""
        self._file, self._variable = file, variable
        self._key = secrets.token_bytes(32)
        self._stamp, self._looked = _stamp(file), time.monotonic()
        self._digests = self._read()

    def __bool__(self) -> bool:
        """Whether a token is asked for at all."""
        return bool(self._digests)

    def admit(self, given: str) -> bool:
        """Whether this is one of the tokens; it takes as long whichever it is."""
        self._look_again()
        digest = self._digest(given)
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0

    def _look_again(self) -> None:
        now = time.monotonic()
        if self._file is None or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        if (stamp := _stamp(self._file)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._digests = self._read()
            logger.info("tokens read again: %d", len(self._digests), extra={"event.action": "tokens-read"})
        except UsageError as error:
            logger.error("the tokens before stay: %s", error, extra={"event.action": "tokens-kept"})

    def _read(self) -> Sequence[bytes]:
        return [self._digest(token) for token in read_secrets(self._file, self._variable)]

    def _digest(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(errors="replace"), key=self._key).digest()


def _stamp(file: Path | None) -> Stamp:
    """What differs when a file was written or replaced; None while it cannot be read."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
