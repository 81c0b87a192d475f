"""Parse + score against Drain3 alone on the same lines: lines per CPU-second, median of rounds, ratio in one run.

    python tests/bench/throughput.py --data ../shared/data --out docs/results/throughput.json

Drain3 is measured twice: with the seven masks of its own example configuration (what a user gets who follows its
README; our masks do that job) and without any mask. Ours is `Detector.score` on every line, from text to verdict.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import tarfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import orjson
from drain3.masking import MaskingInstruction
from drain3.template_miner import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig

from logmeta.datasets.files import lines_of
from logmeta.detector import MetaModel
from logmeta.meta.base import PRETRAINED

EDGE = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
EXAMPLE_MASKS = [
    (EDGE[0] + r"(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))" + EDGE[1], "ID"),
    (EDGE[0] + r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})" + EDGE[1], "IP"),
    (EDGE[0] + r"([0-9a-f]{6,} ?){3,}" + EDGE[1], "SEQ"),
    (EDGE[0] + r"([0-9A-F]{4} ?){4,}" + EDGE[1], "SEQ"),
    (EDGE[0] + r"(0x[a-f0-9A-F]+)" + EDGE[1], "HEX"),
    (EDGE[0] + r"([\-\+]?\d+)" + EDGE[1], "NUM"),
    (r"(?<=executed cmd )(\".+?\")", "CMD"),
]


def logs(data: Path, copies: int) -> Iterator[tuple[str, list[str], list[str]]]:
    """(name, ordinary lines, lines to score): the live test logs, and loghub's samples repeated with other numbers."""
    for folder in sorted((data / "live").iterdir()):
        yield f"live/{folder.name}", list(lines_of(folder / "normal.log"))[:200], list(lines_of(folder / "test.log"))
    with tarfile.open(data / "loghub_2k" / "loghub_2k.tar.xz") as archive:
        members = sorted((m for m in archive.getmembers() if m.name.endswith("_2k.log")), key=lambda m: m.name)
        for member in members:
            file = archive.extractfile(member)
            assert file is not None
            lines = file.read().decode(errors="replace").splitlines()
            yield f"loghub/{member.name.split('/')[-2]}", lines[:200], varied(lines, copies)


def varied(lines: list[str], copies: int) -> list[str]:
    """The lines as they are, then copies in which every digit run is another of the same length."""
    rng = random.Random(7)
    swap = lambda m: "".join(rng.choices("0123456789", k=len(m[0])))
    return [*lines, *(re.sub(r"\d+", swap, line) for _ in range(copies - 1) for line in lines)]


def drain3(lines: list[str], masks: list[tuple[str, str]]) -> float:
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in masks]
    miner = TemplateMiner(config=config)
    return cpu_seconds(lambda: [miner.add_log_message(line) for line in lines])


def ours(ordinary: list[str], lines: list[str]) -> float:
    model = MetaModel.from_pretrained(PRETRAINED)  # read anew, so that no template's vector is cached yet
    detector = model.onboard(ordinary, source="bench")

    def run() -> None:
        for _ in detector.score(lines):
            pass

    return cpu_seconds(run)


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def measure(ordinary: list[str], lines: list[str], rounds: int) -> dict[str, float]:
    rows = [(ours(ordinary, lines), drain3(lines, EXAMPLE_MASKS), drain3(lines, [])) for _ in range(rounds)]
    mine, masked, plain = (statistics.median(column) for column in zip(*rows, strict=True))
    return {
        "lines": len(lines),
        "ours_lines_per_s": round(len(lines) / mine),
        "drain3_masks_lines_per_s": round(len(lines) / masked),
        "drain3_no_masks_lines_per_s": round(len(lines) / plain),
        "ratio_to_drain3_with_masks": round(masked / mine, 2),
        "ratio_to_drain3_without_masks": round(plain / mine, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    for name, ordinary, lines in logs(args.data, args.copies):
        if args.only in name:
            results[name] = measure(ordinary, lines, args.rounds)
            print(name, results[name], flush=True)
    versions = {package: version(package) for package in ("logmeta", "drain3", "onnxruntime", "numpy")}
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        record = {"rounds": args.rounds, "copies": args.copies, "versions": versions, "results": results}
        args.out.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
