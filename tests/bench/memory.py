"""Memory over millions of lines: a real log repeated with other numbers, resident set every half million lines.

python tests/bench/memory.py --lines 5000000 --out docs/results/memory.json
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from logmeta.datasets.files import lines_of
from logmeta.detector import MetaModel

LOG = Path(__file__).parents[2] / "fixtures" / "postgresql"
EVERY = 500_000


def endless(lines: list[str]) -> Iterator[str]:
    """The log for ever; every digit behind the header's time is another in every round."""
    rng = random.Random(7)
    while True:
        digits = "".join(rng.sample("0123456789", 10))
        table = str.maketrans("0123456789", digits)
        for line in lines:
            yield line[:23] + line[23:].translate(table)


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    ordinary = list(lines_of(LOG / "normal.log"))[:200]
    lines = list(lines_of(LOG / "test.log"))
    detector = MetaModel.from_pretrained().onboard(ordinary, source="postgresql")
    rows, start = [], time.process_time()
    for number, _ in enumerate(detector.score(endless(lines)), 1):
        if number % EVERY == 0:
            rate = number / (time.process_time() - start)
            rows.append({"lines": number, "resident_mib": round(resident_mib()), "lines_per_cpu_s": round(rate)})
            print(rows[-1], flush=True)
        if number >= args.lines:
            break
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_bytes(orjson.dumps({"results": rows}, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
