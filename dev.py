#!/usr/bin/env python3
"""Set up and run logmeta from a clone with nothing but Python 3.11+ (and a JDK 21+ and Maven for the tests).

python3 dev.py demo [flags of `logmeta demo`]    install what the demo needs, then run it
python3 dev.py test [flags of pytest]            install everything, then run every check and every test
python3 dev.py run ARGS...                       run `logmeta ARGS...` in the project's environment
python3 dev.py wheel [flags of `uv build`]       build the Elasticsearch plugin, then a wheel in dist/ that brings it
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / ".tools"
UV = TOOLS / "bin" / "uv"


def main(args: list[str]) -> int:
    if not args or args[0] not in ("demo", "test", "run", "wheel"):
        print(__doc__, file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):
        print(f"logmeta needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    command, rest = args[0], args[1:]
    install_uv()
    if command == "test":
        return run_tests(rest)
    call(str(UV), "sync", "--quiet", "--frozen", "--no-dev", "--extra", "serve", "--inexact")
    if command == "wheel":
        return build_wheel(rest)
    words = rest if command == "run" else ["demo", *rest]
    return subprocess.run([str(ROOT / ".venv" / "bin" / "logmeta"), *words], cwd=ROOT, check=False).returncode


def install_uv() -> None:
    """uv, in a folder of its own below the clone."""
    if UV.exists():
        return
    print("setting up (first run only) ...", file=sys.stderr, flush=True)
    venv.create(TOOLS, with_pip=True)
    call(str(TOOLS / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv")


def run_tests(rest: list[str]) -> int:
    """Linters, types, layers, Python tests, quick eval, Java tests; the first failure ends it."""
    without_train = ["--extra", "serve", "--extra", "eval", "--extra", "compat", "--extra", "peers"]
    call(str(UV), "sync", "--quiet", "--frozen", *(["--all-extras"] if can_compile() else without_train))
    bin_dir = ROOT / ".venv" / "bin"
    call(str(bin_dir / "ruff"), "check", ".")
    call(str(bin_dir / "ruff"), "format", "--check", ".")
    if can_compile():
        call(str(bin_dir / "mypy"))
    call(str(bin_dir / "lint-imports"))
    os.environ.setdefault("LOGMETA_REQUIRE_ELASTICSEARCH", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of the many processes compiles torch's sources anew
    call(str(bin_dir / "python"), "-m", "pytest", *rest)
    quick_eval(bin_dir / "logmeta")
    return maven("verify")


def build_wheel(rest: list[str]) -> int:
    """The plugin's jars, then the wheel; the hook in hatch_build.py puts the one into the other."""
    if code := maven("package", "-DskipTests"):
        return code
    return subprocess.run([str(UV), "build", "--wheel", *rest], cwd=ROOT, check=False).returncode


def quick_eval(logmeta: Path) -> None:
    """The yardstick on the repository's own labelled logs, no worse than with the base model before, and the report."""
    with tempfile.TemporaryDirectory() as folder:
        results = str(Path(folder, "eval.json"))
        judge = [str(logmeta), "eval", "--quick", "--data", "fixtures", "--work", folder, "--out", results]
        call(*judge, "--not-below", "docs/results/quick.json")
        call(str(logmeta), "report", results, "--out", str(Path(folder, "report.md")), "--html", "out/quick-eval.html")


def can_compile() -> bool:
    """Whether learn2learn, which ships as source, can be built here: a C compiler and Python's headers."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if (shutil.which("cc") or shutil.which("gcc")) and headers.exists():
        return True
    print("no C compiler or no Python headers: tests of meta-training are skipped", file=sys.stderr)
    return False


def maven(*goals: str) -> int:
    """The plugin of every line, built with a JDK that Elasticsearch 9 accepts."""
    find = "from logmeta.elastic.jdk import find_jdk; print(find_jdk())"
    python = str(ROOT / ".venv" / "bin" / "python")
    jdk = subprocess.run([python, "-c", find], capture_output=True, text=True, check=True).stdout.strip()
    environment = {**os.environ, "JAVA_HOME": jdk}
    command = ["mvn", "--batch-mode", "--no-transfer-progress", "-f", "plugins/elasticsearch", *goals]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def call(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
