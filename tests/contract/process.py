"""The `logmeta` command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

QUICK = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def logmeta(
    *args: object, stdin: bytes = b"", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end; nothing is checked."""
    command = [sys.executable, "-m", "logmeta.cli", *map(str, args)]
    env = {**QUICK, "COLUMNS": "200", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, input=stdin, capture_output=True, env=env, cwd=cwd, timeout=240)


def failed(done: subprocess.CompletedProcess[bytes], code: int) -> str:
    """The words on stderr of a command that failed with `code`, said no data and showed no traceback."""
    words = done.stderr.decode()
    assert done.returncode == code, words
    assert "Traceback" not in words
    assert done.stdout == b""
    return words
