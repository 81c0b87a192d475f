"""A scorer for as long as something needs it: a process of its own that knows one detector."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from logmeta.detector import Detector
from logmeta.elastic.node import free_port
from logmeta.errors import BackendError
from logmeta.registry import Registry

READY_S: Final = 120.0


@contextmanager
def scorer_for(detector: Detector) -> Iterator[str]:
    """The URL of a scorer on loopback that scores the detector's source; it ends with the block.

    Raises:
        BackendError: it did not get ready.
    """
    with tempfile.TemporaryDirectory(prefix="logmeta-scorer-") as folder:
        Registry(Path(folder)).publish(detector)
        url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "logmeta.cli", "serve", "--port", url.rsplit(":", 1)[1]]
        log = Path(folder) / "serve.log"
        with log.open("wb") as out:
            process = subprocess.Popen([*command, "--detectors", folder], stdout=out, stderr=out, env=os.environ)
        try:
            _await_ready(process, url, log)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise BackendError(f"the scorer at {url} did not get ready: {log.read_text(errors='replace')[-2000:]}")
