"""`logmeta train` on a few lines of two systems: deterministic, resumable, held-out families, a base that onboards."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from logmeta import MetaModel
from logmeta.datasets.files import lines_of
from logmeta.datasets.training import training_sets
from logmeta.errors import InputError
from logmeta.meta.options import Training

pytest.importorskip("learn2learn", reason="learn2learn is not installed (the `train` extra)")

from logmeta.meta.outer import NETS
from logmeta.meta.train import KEPT, train

ROOT = Path(__file__).parents[2]
TEST_LINES = 1_500


def excerpt(system, folder):
    """The system's first lines, with the incidents that lie in them."""
    source, target = ROOT / "fixtures" / "live" / system, folder / "live" / system
    target.mkdir(parents=True)
    for name, lines in (("normal.log", 150), ("test.log", TEST_LINES)):
        kept = list(lines_of(source / name))[:lines]
        (target / f"{name}.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in kept).encode()))
    for name, last in (("labels.csv", "last_line"), ("line_labels.csv", "line_no")):
        with (source / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        with (target / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row for row in rows if int(row[last]) <= TEST_LINES)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for system in ("apache", "microservices"):
        excerpt(system, folder)
    return folder


def fresh(folder):
    folder.mkdir()
    shutil.copytree(ROOT / "logmeta" / "pretrained" / "encoder", folder / "encoder")
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = fresh(tmp_path_factory.mktemp("train") / "base")
    train(out, Training((data,), quick=True))
    return out


def test_a_trained_base_onboards(trained, data):
    lines = list(lines_of(data / "live" / "apache" / "normal.log"))
    detector = MetaModel.from_pretrained(trained).onboard(lines, source="apache")
    scored = list(detector.score([*lines[-20:], "kernel: Out of memory: Killed process 4242 (httpd)"]))
    assert scored[-1].raw_score > np.median([line.raw_score for line in scored[:-1]])
    assert detector.params["linear"].shape[0] == NETS


def test_training_says_what_it_saw_and_leaves_its_curves(trained, data):
    record = json.loads((trained / "training.json").read_text())
    assert record["data_sha256"] == {s.name: s.sha256 for s in training_sets([data])}
    assert (record["seed"], record["hold_out"], record["quick"]) == (0, [], True)
    with (trained / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["stage"] for row in rows} == {"sequence model", "scorer meta-sgd", "usual tail"}
    losses = [float(row["loss"]) for row in rows if row["stage"] == "sequence model"]
    assert losses[-1] < losses[0]
    assert not (trained / KEPT).exists()


def test_an_interrupted_training_goes_on_and_ends_in_the_same_weights(trained, data, tmp_path, monkeypatch):
    out = fresh(tmp_path / "base")

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("logmeta.meta.train.meta_train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(out, Training((data,), quick=True))
    before = {path: path.stat().st_mtime_ns for path in (out / KEPT).rglob("*.npz")}
    assert {path.stem for path in before} == {"encoders", "apache", "microservices"}
    monkeypatch.setattr("logmeta.meta.episodes.episodes", interrupted)  # nothing is read again
    train(out, Training((data,), quick=True))
    one, other = (load_file(folder / "weights.safetensors") for folder in (trained, out))
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_what_another_training_left_behind_is_not_used(data, tmp_path, monkeypatch):
    out = fresh(tmp_path / "base")
    (out / KEPT).mkdir()
    (out / KEPT / "asked.json").write_text('{"seed": 7}')
    (out / KEPT / "left").touch()
    monkeypatch.setattr("logmeta.meta.train._encoders", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(out, Training((data,), quick=True))
    assert not (out / KEPT / "left").exists()


def test_a_system_is_held_out_with_its_family(data):
    assert [s.name for s in training_sets([data], ["apache"])] == ["microservices"]


@pytest.mark.parametrize(
    ("folders", "hold_out", "message"),
    [
        (["data"], ["apaxhe"], "no system is called 'apaxhe'"),
        (["data", "data"], [], "lies in more than one of the data folders"),
        (["nowhere"], [], "no labelled log in"),
    ],
)
def test_data_that_makes_no_training_is_told(data, folders, hold_out, message):
    places = [data if name == "data" else data / name for name in folders]
    with pytest.raises(InputError, match=message):
        training_sets(places, hold_out)
