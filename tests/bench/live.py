"""The judge's table on live incident logs: held-out base models beside three simple rivals, in one process.

    python tests/bench/live.py --judge ../shared/judge.py --data ../shared/data/live \
        --bases BASES.json --out docs/results/live.json

BASES.json maps a system to the folder of a base model that never saw it (`logmeta train --hold-out ...`). The judge
is the script that judges the command line; only the process start is left out. With --render the Markdown table of
an existing results file is printed.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.util
import math
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import orjson
import torch

from logmeta.detector import MetaModel
from logmeta.meta.episodes import read_text
from logmeta.parse import Parser, TemplateTree, is_timed

WINDOW = 20
Rows = list[dict[str, object]]


def keyword(ordinary: list[str], lines: list[str], words: str) -> Iterator[float]:
    pattern = re.compile(words, re.IGNORECASE)
    return (float(bool(pattern.search(line))) for line in lines)


def parsed(ordinary: list[str], lines: list[str]) -> tuple[list[int], list[int], int]:
    tree = TemplateTree()
    timed = is_timed(ordinary)
    Parser(tree, timed=timed, learn=True).parse(ordinary)
    parser = Parser(tree, timed=timed)
    support = [event.shape.template_index for event in parser.parse(ordinary)]
    known = len(parser.templates)
    return support, [event.shape.template_index for event in parser.parse(lines)], known


def unseen(ordinary: list[str], lines: list[str], words: str) -> Iterator[float]:
    _, numbers, known = parsed(ordinary, lines)
    return (float(number >= known) for number in numbers)


def bursts(ordinary: list[str], lines: list[str], words: str) -> Iterator[float]:
    """How much more often than in the support a line's template came in the last 20 lines (Poisson tail, nats)."""
    support, numbers, _ = parsed(ordinary, lines)
    usual = collections.Counter(support)
    recent: collections.deque[int] = collections.deque(maxlen=WINDOW)
    for number in numbers:
        recent.append(number)
        count = recent.count(number)
        expected = WINDOW * (usual[number] + 0.5) / (len(support) + 1)
        yield count * math.log(count / expected) - (count - expected) if count > expected else 0.0


RIVALS: dict[str, Callable[[list[str], list[str], str], Iterator[float]]] = {
    "error keyword": keyword,
    "unseen template": unseen,
    "template bursts": bursts,
}


def rows_of(scores: Iterator[float]) -> Rows:
    return [{"line_no": i, "raw_score": s, "score": s, "alarm": False} for i, s in enumerate(scores, 1)]


def judged(judge: ModuleType, folder: Path, k: int, base: str) -> dict[str, object]:
    ordinary, lines = read_text(folder / "normal.log"), read_text(folder / "test.log")
    ordinary = ordinary[:k] if k else ordinary
    detector = MetaModel.from_pretrained(base).onboard(ordinary, source=folder.name)
    ours = [
        {"line_no": s.line_no, "raw_score": s.raw_score, "score": s.score, "alarm": s.alarm}
        for s in detector.score(lines)
    ]
    words = orjson.loads((folder / "meta.json").read_bytes())["keyword_list"]
    out = {"logmeta": judge.judge(folder, ours)}
    out |= {name: judge.judge(folder, rows_of(rival(ordinary, lines, words))) for name, rival in RIVALS.items()}
    digest = hashlib.sha256("\n".join(ordinary + lines).encode()).hexdigest()[:16]
    return {"system": folder.name, "k": k, "base": detector.base.digest, "data_sha256": digest, "methods": out}


def render(results: list[dict[str, object]]) -> str:
    out = []
    for k in sorted({int(r["k"]) for r in results}, key=lambda k: k or 10**9):
        rows = [r for r in results if r["k"] == k]
        out += [f"### {k or 'All'} ordinary lines", "", _head(), "|---|" + "---|" * 7]
        out += [_row(r) for r in rows] + [_total(rows), ""]
    return "\n".join(out)


def _head() -> str:
    return (
        "| system | own alarms: found, keyword-free, FA/1k (chance) | at 0.2/1k: found, keyword-free (chance) "
        "| at 1/1k: found (chance) | line AP (prevalence) | error keyword | unseen template | template bursts |"
    )


def _row(r: dict) -> str:
    ours, n = r["methods"]["logmeta"], r["methods"]["logmeta"]["incidents"]
    own, low, high, kf = ours["own"], ours["at0.2"], ours["at1.0"], ours["kwfree"]
    rivals = [f"{m['at0.2']['found']}, {m['at1.0']['found']}{_wins(m, ours)}" for m in _rivals(r)]
    return (
        f"| {r['system']} | {own['found']}/{n}, {own['kwfree_found']}/{kf}, {own['fa_per_1k']} ({own['chance']}) "
        f"| {low['found']}/{n}, {low['kwfree_found']}/{kf} ({low['chance']}) | {high['found']}/{n} ({high['chance']}) "
        f"| {ours.get('line_ap')} ({ours.get('line_prev')}) | " + " | ".join(rivals) + " |"
    )


def _rivals(r: dict) -> list[dict]:
    return [r["methods"][name] for name in RIVALS]


def _wins(rival: dict, ours: dict) -> str:
    return " **wins**" if rival["at0.2"]["found"] > ours["at0.2"]["found"] else ""


def _total(rows: list[dict]) -> str:
    def add(name: str, at: str, what: str) -> float:
        return round(sum(r["methods"][name][at][what] for r in rows), 1)

    n = sum(r["methods"]["logmeta"]["incidents"] for r in rows)
    kf = sum(r["methods"]["logmeta"]["kwfree"] for r in rows)
    cells = [f"{add(m, 'at0.2', 'found')}, {add(m, 'at1.0', 'found')}" for m in RIVALS]
    return (
        f"| **all** | {add('logmeta', 'own', 'found')}/{n}, {add('logmeta', 'own', 'kwfree_found')}/{kf} "
        f"({add('logmeta', 'own', 'chance')}) | {add('logmeta', 'at0.2', 'found')}/{n}, "
        f"{add('logmeta', 'at0.2', 'kwfree_found')}/{kf} ({add('logmeta', 'at0.2', 'chance')}) "
        f"| {add('logmeta', 'at1.0', 'found')}/{n} ({add('logmeta', 'at1.0', 'chance')}) | | "
        + " | ".join(cells)
        + " |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--bases", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--k", default="200,0")
    parser.add_argument("--render", type=Path)
    args = parser.parse_args()
    if args.render:
        print(render(orjson.loads(args.render.read_bytes())["results"]))
        return
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("judge", args.judge)
    assert spec is not None
    assert spec.loader is not None
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    bases = orjson.loads(args.bases.read_bytes())
    results = []
    for k in map(int, args.k.split(",")):
        for system, base in sorted(bases.items()):
            results.append(judged(judge, args.data / system, k, base))
            print(_row(results[-1]), flush=True)
    versions = {package: version(package) for package in ("logmeta", "torch", "drain3", "numpy")}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(orjson.dumps({"versions": versions, "results": results}, option=orjson.OPT_INDENT_2) + b"\n")
    print(render(results))


if __name__ == "__main__":
    main()
