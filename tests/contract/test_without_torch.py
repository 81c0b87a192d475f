"""Onboarding, scoring and saving need neither torch nor transformers, and say the same with them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from logmeta import MetaModel
from logmeta.meta.base import PRETRAINED
from logmeta.samples import sample_log

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "learn2learn", "onnx", "scipy", "sklearn"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from logmeta import Detector, MetaModel
from logmeta.samples import sample_log
lines = sample_log(120)
folder = Path(sys.argv[1])
detector = MetaModel.from_pretrained().onboard(lines, source="s")
detector.save_pretrained(folder)
scored = list(Detector.from_pretrained(folder).score(["panic: out of memory", *lines[:5]]))
print(len(scored), sorted(n for n in sys.modules if n.partition(".")[0] in {"torch", "transformers"}))
"""


def test_a_source_is_onboarded_saved_and_scored_where_torch_cannot_be_imported(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(tmp_path / "detector")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "6 []"


@pytest.fixture
def in_torch(tmp_path) -> Path:
    """The shipped base model whose text encoder has no graph, so that torch runs it."""
    pytest.importorskip("transformers", reason="transformers is not installed (the `train` extra)")
    folder = shutil.copytree(PRETRAINED, tmp_path / "base")
    (folder / "encoder" / "model.onnx").unlink()
    (folder / "encoder" / "metrics.json").unlink()
    return folder


def test_p_values_are_those_that_torch_gives(in_torch):
    lines = sample_log(400)
    shown, later = lines[:200], [*lines[200:], "panic: out of memory in worker 3", *lines[250:]]
    ours, theirs = (
        MetaModel.from_pretrained(folder).onboard(shown, source="s").score(later) for folder in (None, in_torch)
    )
    gaps = [abs(a.p_value - b.p_value) for a, b in zip(ours, theirs, strict=True)]
    assert np.max(gaps) <= 1e-3
