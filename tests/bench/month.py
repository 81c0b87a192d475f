"""A scripted month of every labelled system at one running scorer; figures of each step.

python tests/bench/month.py --data DATA --out docs/results/month.json

What happens in it, and in which order, is in tests/integration/month.py; tests/integration/test_month.py runs the same
on the repository's own logs. The shipped base model was trained on these systems.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

import httpx
from month import Month
from reporting import live_sets, parser_of, write_report
from running import start_scorer

from logmeta.detector import MetaModel


def main() -> None:
    options = parser_of(__doc__).parse_args()
    base = MetaModel.from_pretrained()
    bad = base.base.foreign[:: max(1, len(base.base.foreign) // 100)]
    with tempfile.TemporaryDirectory() as folder:
        scorer = start_scorer(Path(folder))
        try:
            with httpx.Client(base_url=scorer.url, timeout=300) as api:
                months = [Month(api, data, bad).run() for data in live_sets(options.data)]
        finally:
            scorer.stop()
    write_report(options, base, systems=months)


if __name__ == "__main__":
    main()
