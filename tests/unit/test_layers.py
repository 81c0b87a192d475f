"""The layers of the package: imports point down, and nothing heavy is imported before it is used."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_imports_point_down():
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_every_module_has_its_place_in_a_layer():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    placed = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    for path in (ROOT / "logmeta").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__init__" and not parts[-1].startswith("distill_"):
            names = {".".join(parts), ".".join(parts[:2])}
            assert names & placed, f"{path} is in no layer"


@pytest.mark.parametrize("statement", ["import logmeta", "import logmeta.cli", "from logmeta import AlarmBudget"])
def test_nothing_heavy_is_imported_by(statement):
    heavy = {"torch", "transformers", "numpy", "drain3", "elasticsearch", "learn2learn", "polars"}
    code = f"import sys; {statement}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
