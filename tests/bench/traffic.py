"""What the scorer's benchmarks share: documents of many sources, a client that costs little, a process's use."""

from __future__ import annotations

import http.client
import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from logs import lines
from memory import endless
from running import start_scorer

__all__ = ["Client", "batches", "cpu_seconds", "lines", "onboard", "resident_mib", "start_scorer", "versions"]

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
DOCUMENTS = 256
PACKAGES = ("logmeta", "onnxruntime", "numpy", "starlette", "uvicorn", "orjson", "prometheus-client")


class Client:
    """One kept connection to a scorer, from the standard library: the benchmark's own cost stays small."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=120)

    def post(self, path: str, body: bytes) -> dict:
        """The answer to a request. Raises RuntimeError when it is refused."""
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{path} was answered {answer.status}: {content[:200]!r}")
        return orjson.loads(content)


def onboard(client: Client, sources: list[str]) -> None:
    """A detector of 200 ordinary PostgreSQL lines for each source."""
    ordinary = lines("normal", 200)
    for source in sources:
        client.post("/v1/detectors", orjson.dumps({"source": source, "lines": ordinary}))


def batches(sources: Sequence[str], *, per_request: int, streams: int) -> Iterator[list[dict[str, str]]]:
    """Requests of 256 documents for ever: of `per_request` sources each, the sources and their streams in turn.

    The lines are PostgreSQL's test log, every digit behind a line's time another in every round.
    """
    feed, turn = endless(lines("test", 23_829)), itertools.cycle(sources)
    while True:
        names = [next(turn) for _ in range(per_request)]
        places = [divmod(i, per_request) for i in range(DOCUMENTS)]
        yield [{"source": names[k], "stream": f"stream-{i % streams}", "message": next(feed)} for i, k in places]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mib(pid: int) -> float:
    """The resident set of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return round(int(found[1]) / 1024, 1) if found else float("nan")


def versions() -> dict[str, str]:
    return {"python": sys.version.split()[0], **{package: version(package) for package in PACKAGES}}
