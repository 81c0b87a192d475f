"""A scripted month of every labelled system at one running scorer; figures of each step.

python tests/bench/month.py --data DATA --out docs/results/month.json

What happens in it, and in which order, is in tests/integration/month.py; tests/integration/test_month.py runs the same
on the repository's own logs. The shipped base model was trained on these systems.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

import httpx
from month import Month
from running import start_scorer

from logmeta.datasets.live import live_folder
from logmeta.detector import MetaModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    base = MetaModel.from_pretrained()
    bad = base.base.foreign[:: max(1, len(base.base.foreign) // 100)]
    folders = sorted((options.data / "live").iterdir())
    with tempfile.TemporaryDirectory() as folder:
        scorer = start_scorer(Path(folder))
        try:
            with httpx.Client(base_url=scorer.url, timeout=300) as api:
                months = [Month(api, live_folder(system), bad).run() for system in folders]
        finally:
            scorer.stop()
    report = {
        "command": " ".join(["python", *sys.argv]).replace(str(options.data), "DATA"),
        "seed": 0,
        "base": base.name,
        "logmeta": version("logmeta"),
        "systems": months,
    }
    text = json.dumps(report, indent=1)
    options.out.write_text(text + "\n") if options.out else print(text)


if __name__ == "__main__":
    main()
