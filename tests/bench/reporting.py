"""What the benchmarks over labelled systems share: their options, and the report that they write."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from logmeta.datasets.labelled import LabelledSet
from logmeta.datasets.live import live_folder
from logmeta.detector import MetaModel

SEED = 0


def parser_of(words: str | None) -> argparse.ArgumentParser:
    """`--data` and `--out`, described by a script's own docstring."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    return parser


def live_sets(data: Path) -> Iterator[LabelledSet]:
    """The live systems in the folder of labelled sets, by name."""
    for folder in sorted((data / "live").iterdir()):
        yield live_folder(folder)


def write_report(options: argparse.Namespace, base: MetaModel, **told: Any) -> None:
    """The figures with the command, the seed and the versions they come from: to `--out`, or shown."""
    head = {
        "command": " ".join(["python", *sys.argv]).replace(str(options.data), "DATA"),
        "seed": SEED,
        "base": base.name,
        "logmeta": version("logmeta"),
    }
    text = json.dumps({**head, **told}, indent=1)
    options.out.write_text(text + "\n") if options.out else print(text)
