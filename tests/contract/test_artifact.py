"""A detector as a folder: the same scores after loading, and no damage that goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import shutil

import orjson
import pytest

from logmeta.artifact import FILES, FORMAT, MANIFEST
from logmeta.detector import Detector
from logmeta.errors import ArtifactError


@pytest.fixture
def folder(detector_folder, tmp_path):
    """A copy of the detector's folder that a test may damage."""
    return shutil.copytree(detector_folder, tmp_path / "copy")


def refused(folder, base, words):
    """The error that loading ends in."""
    with pytest.raises(ArtifactError, match=words) as error:
        Detector.from_pretrained(folder, base=base)
    assert error.value.exit_code == 4
    return str(error.value)


def changed(folder, **values):
    manifest = json.loads((folder / MANIFEST).read_text()) | values
    (folder / MANIFEST).write_text(json.dumps(manifest))


def verdicts(detector, lines):
    return [(x.raw_score, x.score, x.p_value, x.window_p_value, x.template_id, x.alarm_id, x.new_template)
            for x in detector.score(lines)]  # fmt: skip


def test_a_loaded_detector_gives_the_same_scores(detector, detector_folder, base, test_log):
    loaded = Detector.from_pretrained(detector_folder, base=base)
    assert verdicts(loaded, test_log[:1300]) == verdicts(detector, test_log[:1300])


def test_a_loaded_detector_has_the_same_summary(detector, detector_folder, base):
    assert Detector.from_pretrained(detector_folder, base=base).summary() == detector.summary()


def test_a_detector_survives_being_saved_and_loaded_twice(folder, base, tmp_path, ordinary):
    first = Detector.from_pretrained(folder, base=base)
    first.save_pretrained(tmp_path / "again")
    again = Detector.from_pretrained(tmp_path / "again", base=base)
    assert verdicts(again, ordinary) == verdicts(first, ordinary)


def test_the_options_of_onboarding_are_kept(base, ordinary, tmp_path):
    made = base.onboard(ordinary, source="pg ü", stream_regex=r"\[(\d+)\]", seed=3)
    made.save_pretrained(tmp_path / "d")
    loaded = Detector.from_pretrained(tmp_path / "d", base=base)
    assert (loaded.source, loaded.stream_regex, loaded.seed) == ("pg ü", r"\[(\d+)\]", 3)


def test_a_detector_of_a_source_without_times_can_be_loaded(base, tmp_path):
    made = base.onboard([f"worker {i} is ready" for i in range(50)], source="plain")
    made.save_pretrained(tmp_path / "d")
    lines = ["worker 7 is ready", "worker died"]
    assert verdicts(Detector.from_pretrained(tmp_path / "d", base=base), lines) == verdicts(made, lines)


def test_the_folder_holds_data_only(detector_folder):
    assert {path.name for path in detector_folder.iterdir()} == {MANIFEST, *FILES}
    assert {path.suffix for path in detector_folder.iterdir()} == {".json", ".safetensors", ".md"}
    orjson.loads((detector_folder / "templates.json").read_bytes())


def test_no_value_of_a_line_is_written_down(base, ordinary, tmp_path):
    secret = "2026-11-22 16:53:24.387 UTC [1] shop@shop/web LOG:  login user=mallory4711 token='s3cr3tvalue'"
    base.onboard([*ordinary, *[secret] * 3], source="pg").save_pretrained(tmp_path / "d")
    for path in (tmp_path / "d").iterdir():
        assert b"mallory" not in path.read_bytes()
        assert b"s3cr3tvalue" not in path.read_bytes()


def test_saving_over_a_detector_replaces_it_and_leaves_nothing_beside(folder, base, ordinary):
    base.onboard(ordinary[:50], source="other").save_pretrained(folder)
    assert Detector.from_pretrained(folder, base=base).source == "other"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_saving_into_a_folder_of_something_else_is_refused(detector, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ArtifactError, match="is no detector folder; choose another --out"):
        detector.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_saving_over_a_file_is_refused(detector, tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ArtifactError, match="is no detector folder"):
        detector.save_pretrained(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


def test_saving_below_a_file_is_refused(detector, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot write the detector"):
        detector.save_pretrained(tmp_path / "file" / "d")


def test_a_failed_save_leaves_the_old_detector_and_no_rest(folder, detector, base, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("logmeta.artifact.save_file", full)
    with pytest.raises(ArtifactError, match="No space left on device"):
        detector.save_pretrained(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    assert Detector.from_pretrained(folder, base=base).source == "postgresql"


def test_a_folder_that_is_not_there_is_told_how_to_be_made(tmp_path, base):
    assert "make one with `logmeta onboard`" in refused(tmp_path / "none", base, "is no detector folder")


def test_a_file_is_no_detector_folder(tmp_path, base):
    (tmp_path / "file").touch()
    refused(tmp_path / "file", base, "is no detector folder")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, base, name):
    (folder / name).unlink()
    refused(folder, base, f"{name} is missing")


@pytest.mark.parametrize("name", FILES)
def test_a_single_flipped_bit_is_noticed(folder, base, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    refused(folder, base, f"{name} is damaged")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_noticed(folder, base, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    refused(folder, base, f"{name} is damaged")


def test_a_detector_of_a_future_format_asks_for_a_newer_logmeta(folder, base):
    changed(folder, format=FORMAT + 1)
    refused(folder, base, f"format {FORMAT + 1}, this logmeta reads up to {FORMAT}; upgrade logmeta")


def test_a_detector_of_another_base_model_is_refused(folder, base):
    changed(folder, base={"name": "theirs", "digest": "0" * 16})
    refused(folder, base, "was made with base model theirs")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '{"format": "1"}', '{"format": 1}', '{"format": 1, "sha256": 3}', "\0\0", "\udc80"],
)
def test_a_manifest_that_is_none_is_damaged(folder, base, text):
    (folder / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    refused(folder, base, "is damaged")


@pytest.mark.parametrize(
    "values",
    [
        {"base": None},
        {"base": {}},
        {"base": []},
        {"alarm_budget_per_day": 0},
        {"alarm_budget_per_day": None},
        {"alarm_budget_per_day": "ten"},
    ],
    ids=str,
)
def test_a_manifest_with_impossible_values_makes_no_detector(folder, base, values):
    changed(folder, **values)
    refused(folder, base, "makes no detector")


@pytest.mark.parametrize("key", ["source", "base", "timed", "trusted", "seed", "version", "lines_used"])
def test_a_manifest_without_a_value_makes_no_detector(folder, base, key):
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest[key]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    refused(folder, base, "makes no detector")


def test_a_base_model_folder_that_is_none_is_refused(tmp_path):
    from logmeta import MetaModel

    with pytest.raises(ArtifactError, match="is no readable base model"):
        MetaModel.from_pretrained(tmp_path)


def test_the_card_says_what_the_detector_is_and_what_it_lacks(detector_folder):
    card = (detector_folder / "README.md").read_text()
    assert card.startswith("# logmeta detector for `postgresql`")
    assert "| lines used | 200 |" in card
    assert "- provisional:" in card


def test_a_detector_of_whole_windows_scores_the_same_windows_after_loading(base, ordinary, killed, test_log, tmp_path):
    made = base.onboard([*ordinary, killed], source="pg", stream_regex=r" \[(\d+)\] ", window="session:5")
    made.save_pretrained(tmp_path / "d")
    loaded = Detector.from_pretrained(tmp_path / "d", base=base)

    def windows(detector):
        return [window.to_dict() for window in detector.score_windows(test_log[:800])]

    assert windows(loaded) == windows(made)
    assert str(loaded.window) == "session:5"
    assert loaded.windows.spared == made.windows.spared > 0
    assert loaded.windows.left_out == made.windows.left_out != ()


def test_windows_of_a_folder_that_spares_none_are_judged_as_they_were_calibrated(base, ordinary, tmp_path):
    base.onboard(ordinary, source="pg", window="tumbling:5").save_pretrained(tmp_path / "d")
    templates = json.loads((tmp_path / "d" / "templates.json").read_text())
    del templates["window_spared"]
    (tmp_path / "d" / "templates.json").write_bytes(orjson.dumps(templates))
    manifest = json.loads((tmp_path / "d" / MANIFEST).read_text())
    hashes = manifest["sha256"] | {"templates.json": hashlib.sha256(orjson.dumps(templates)).hexdigest()}
    (tmp_path / "d" / MANIFEST).write_text(json.dumps(manifest | {"sha256": hashes}))
    assert Detector.from_pretrained(tmp_path / "d", base=base).windows.spared == 0


def test_a_folder_of_the_first_format_still_loads(folder, base, detector, ordinary):
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["window"]
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 1}))
    loaded = Detector.from_pretrained(folder, base=base)
    assert verdicts(loaded, ordinary) == verdicts(detector, ordinary)
    assert loaded.windows is None


def test_a_folder_of_the_third_format_still_loads(folder, base, detector, ordinary):
    templates = json.loads((folder / "templates.json").read_text())
    del templates["across"]
    (folder / "templates.json").write_bytes(orjson.dumps(templates))
    manifest = json.loads((folder / MANIFEST).read_text())
    hashes = manifest["sha256"] | {"templates.json": hashlib.sha256(orjson.dumps(templates)).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 3, "sha256": hashes}))
    assert verdicts(Detector.from_pretrained(folder, base=base), ordinary) == verdicts(detector, ordinary)


def test_a_folder_of_the_fourth_format_still_loads_and_has_no_labels(folder, base, detector, ordinary):
    templates = json.loads((folder / "templates.json").read_text())
    del templates["labels"]
    (folder / "templates.json").write_bytes(orjson.dumps(templates))
    manifest = json.loads((folder / MANIFEST).read_text())
    hashes = manifest["sha256"] | {"templates.json": hashlib.sha256(orjson.dumps(templates)).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 4, "sha256": hashes}))
    loaded = Detector.from_pretrained(folder, base=base)
    assert verdicts(loaded, ordinary) == verdicts(detector, ordinary)
    assert loaded.labels == ()
