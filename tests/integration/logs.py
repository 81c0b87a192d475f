"""The real log of the integration tests: a PostgreSQL server's, committed under fixtures/."""

from __future__ import annotations

import gzip
from pathlib import Path

POSTGRESQL = Path(__file__).resolve().parents[2] / "fixtures" / "postgresql"


def lines(name: str, count: int) -> list[str]:
    """The first lines of `normal` or `test`, without line ends; the log is repeated when it is shorter."""
    path = next(path for path in (POSTGRESQL / f"{name}.log", POSTGRESQL / f"{name}.log.gz") if path.exists())
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    found = raw.decode(errors="replace").splitlines()
    return (found * (count // len(found) + 1))[:count]
