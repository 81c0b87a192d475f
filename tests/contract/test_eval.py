"""`logmeta eval` and `logmeta report` as a user runs them, on the fixtures."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest
from process import failed, logmeta

from logmeta.evaluate.results import Results

FIXTURES = Path(__file__).parents[2] / "fixtures"
SMALL = (
    "--sets",
    "apache",
    "--methods",
    "logmeta,untrained sum,unseen template,count 1-NN",
    "--k",
    "20",
    "--jobs",
    "1",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("eval")


@pytest.fixture(scope="module")
def evaluated(folder):
    done = logmeta("eval", "--data", FIXTURES, *SMALL, "--draws", 2, "--work", folder, "--out", folder / "eval.json")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    return folder / "eval.json"


def test_a_small_evaluation_holds_every_method_and_draw(evaluated):
    results = Results.load(evaluated)
    line_rows = {row.method: row for row in results.rows if row.condition.granularity == "line"}
    assert set(line_rows) == {"logmeta", "untrained sum", "unseen template", "count 1-NN"}
    assert all(row.draws == [0, 1] for row in line_rows.values())
    assert all(len(string) == 17 for string in line_rows["logmeta"].incidents["0.2"])
    assert results.sets["apache"].in_sample is False
    assert "apache" in results.sets["apache"].hold_out
    assert results.versions["logmeta"]


def test_cells_of_an_earlier_results_file_are_not_run_again(evaluated, tmp_path):
    asked = ("--draws", 2, "--work", tmp_path, "--out", tmp_path / "eval.json", "--earlier", evaluated, "--finished")
    done = logmeta("eval", "--data", FIXTURES, *SMALL, *asked)
    assert done.returncode == 0, done.stderr.decode()
    assert Results.load(tmp_path / "eval.json").rows == Results.load(evaluated).rows


def test_a_second_run_recomputes_nothing_and_gives_the_same_rows(evaluated, folder):
    cells = (folder / "cells.jsonl").read_bytes()
    started = time.monotonic()
    done = logmeta("eval", "--data", FIXTURES, *SMALL, "--draws", 2, "--work", folder, "--out", folder / "again.json")
    assert done.returncode == 0, done.stderr.decode()
    assert (folder / "cells.jsonl").read_bytes() == cells
    assert Results.load(folder / "again.json").rows == Results.load(evaluated).rows
    assert time.monotonic() - started < 200


def test_an_interrupted_run_goes_on_with_the_cells_that_are_missing(evaluated, folder, tmp_path):
    kept = (folder / "cells.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "cells.jsonl").write_bytes(b"".join(kept[:3]) + kept[3][:50])
    done = logmeta("eval", "--data", FIXTURES, *SMALL, "--draws", 2, "--work", tmp_path, "--out", tmp_path / "e.json")
    assert done.returncode == 0, done.stderr.decode()

    def figures(path):
        return [(row.set, row.method, row.condition, row.metrics) for row in Results.load(path).rows]

    assert sorted(figures(tmp_path / "e.json"), key=str) == sorted(figures(evaluated), key=str)


def test_a_report_is_written_from_the_results(evaluated, tmp_path):
    done = logmeta("report", evaluated, "--html", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr.decode()
    assert b"apache" in done.stdout
    assert "<html" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--sets", "apahce"), 2, "did you mean 'apache'"),
        (("--sets", "hdfs"), 3, "set 'hdfs' is not here"),
        (("--k", "many"), 2, "--k takes numbers"),
        (("--methods", "magic"), 2, "there is no method 'magic'"),
    ],
)
def test_what_cannot_be_run_is_said_with_the_way_out(arguments, code, words, tmp_path):
    done = logmeta("eval", "--data", FIXTURES, *arguments, "--work", tmp_path, "--out", tmp_path / "e.json")
    assert words in failed(done, code)


def test_a_folder_without_sets_is_said_to_have_none(tmp_path):
    done = logmeta("eval", "--data", tmp_path, "--work", tmp_path, "--out", tmp_path / "e.json")
    assert "holds no labelled set" in failed(done, 3)


def test_sessions_are_scored_as_they_close(tmp_path):
    def lines(first: int, count: int, *steps: str) -> str:
        return "".join(
            f"2026-11-22T10:{i // 60:02d}:{i % 60:02d} INFO request=r{i} {step}\n"
            for i in range(first, first + count)
            for step in steps
        )

    usual = ("opened", "rows read", "rows written", "closed")
    (tmp_path / "normal.log").write_text(lines(0, 60, *usual))
    (tmp_path / "today.log").write_text(lines(100, 5, *usual) + lines(200, 1, *usual[:2]))
    made = logmeta(
        "onboard", tmp_path / "normal.log", "--source", "shop", "--stream-regex", r"request=(\w+)",
        "--window", "session:60", "--out", tmp_path / "d",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr.decode()
    done = logmeta("score", tmp_path / "today.log", "--detector", tmp_path / "d", "--per", "window")
    assert done.returncode == 0, done.stderr.decode()
    windows = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [window["lines"] for window in windows] == [4] * 5 + [2]
    assert max(windows, key=lambda window: window["raw_score"])["stream"] == "r200"
    refused = logmeta(
        "score", tmp_path / "today.log", "--detector", tmp_path / "d", "--per", "window", "--format", "ecs"
    )
    assert "whole windows are written as jsonl" in failed(refused, 2)


def test_a_window_that_is_none_is_refused(tmp_path):
    (tmp_path / "normal.log").write_text("a line of words\n" * 30)
    done = logmeta("onboard", tmp_path / "normal.log", "--source", "s", "--out", tmp_path / "d", "--window", "weekly")
    assert "a window is `line`" in failed(done, 2)
