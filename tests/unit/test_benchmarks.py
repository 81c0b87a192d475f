"""The published measurements are the results files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_measurements_is_what_the_results_files_say():
    told = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "bench" / "render.py")], capture_output=True, text=True, check=True
    )
    assert told.stdout == (ROOT / "docs" / "benchmarks.md").read_text()
