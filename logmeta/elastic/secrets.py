"""Secrets come from a file or the environment, never from a flag's value, and are never logged."""

from __future__ import annotations

import os
from pathlib import Path

from logmeta.errors import UsageError

SCORER_TOKEN_ENV = "LOGMETA_SERVE__TOKEN"
API_KEY_ENV = "LOGMETA_ELASTIC__API_KEY"


def read_secret(file: Path | None, variable: str) -> str | None:
    """The secret in the file, else in the environment variable; None when neither is given.

    Raises:
        UsageError: the file cannot be read or holds no secret.
    """
    if file is None:
        return os.environ.get(variable) or None
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the secret in {file}: {error}; give a readable text file") from error
    if not secret:
        raise UsageError(f"the file {file} is empty; write the secret into it")
    return secret
