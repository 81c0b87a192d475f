"""Finding a JDK and running Maven: what the local node and the plugin's build need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from logmeta.errors import BackendError

OLDEST_JDK = 21
MAVEN_TIMEOUT_S = 900
_PLACES = ("/usr/lib/jvm", "/opt/java", "/Library/Java/JavaVirtualMachines", "/usr/local/lib/jvm")


def find_jdk() -> Path:
    """The home of a JDK 21 or later: JAVA_HOME first, then the usual folders, then `java` on the PATH.

    Raises:
        BackendError: there is none; says which ones were seen.
    """
    seen = {home: major for home in _homes() if (major := _major(home)) is not None}
    fitting = next((home for home, major in seen.items() if major >= OLDEST_JDK), None)
    if fitting is None:
        found = ", ".join(f"{major} in {home}" for home, major in seen.items()) or "none"
        raise BackendError(f"needs a JDK {OLDEST_JDK} or later, found {found}; install one or point JAVA_HOME at it")
    return fitting


def maven(arguments: Sequence[str], *, folder: Path) -> None:
    """Run Maven with a fitting JDK. Raises BackendError with the end of its output when it fails or is not there."""
    program = shutil.which("mvn")
    if program is None:
        raise BackendError("needs Maven (mvn) on the PATH, found none; install Maven 3.8 or later")
    command = [program, "--batch-mode", "--no-transfer-progress", "--quiet", *arguments]
    environment = {**os.environ, "JAVA_HOME": str(find_jdk())}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"Maven gave no end within {MAVEN_TIMEOUT_S} s in {folder}; check the network") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BackendError(f"Maven failed ({' '.join(arguments)}) in {folder}:\n{tail}")


def _homes() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    for place in _PLACES:
        for home in sorted(Path(place).glob("*"), reverse=True):
            yield home / "Contents" / "Home" if (home / "Contents").is_dir() else home
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent


def _major(home: Path) -> int | None:
    """The feature version of the JDK in a folder, None when there is no JDK (a compiler, not only `java`)."""
    if not (home / "bin" / "javac").exists():
        return None
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r'^JAVA_VERSION="?(\d+)', text, re.MULTILINE)
    return int(match[1]) if match else None
