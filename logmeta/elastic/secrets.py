"""Secrets come from a file or the environment, never from a flag's value, and are never logged."""

from __future__ import annotations

import os
from pathlib import Path

from logmeta.errors import UsageError

SCORER_TOKEN_ENV = "LOGMETA_SERVE__TOKEN"
API_KEY_ENV = "LOGMETA_ELASTIC__API_KEY"


def read_secret(file: Path | None, variable: str) -> str | None:
    """The secret in the file, else in the environment variable; the first one where there are several, None if none.

    Raises:
        UsageError: the file cannot be read, holds no secret or is not one per line.
    """
    return next(iter(read_secrets(file, variable)), None)


def read_secrets(file: Path | None, variable: str) -> tuple[str, ...]:
    """Every secret in the file (one per line, `#` begins a comment line), else in the environment, between blanks.

    Raises:
        UsageError: the file cannot be read, holds no secret or is not one per line.
    """
    if file is None:
        return tuple(os.environ.get(variable, "").split())
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the secret in {file}: {error}; give a readable text file") from error
    secrets = tuple(line for line in lines if line and not line.startswith("#"))
    if not secrets:
        raise UsageError(f"the file {file} is empty; write the secret into it")
    if any(len(secret.split()) > 1 for secret in secrets):
        raise UsageError(f"a line of {file} holds more than one word; write one secret per line, comments behind '#'")
    return secrets
