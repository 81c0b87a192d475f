"""What a detector's folder keeps of people and secrets: nothing that the masks know, whatever form the line had."""

from __future__ import annotations

import json
import random
import shutil

import orjson
import pytest
from process import logmeta

from logmeta.artifact import MANIFEST
from logmeta.detector import Detector
from logmeta.kept import kept_by
from logmeta.parse import fingerprint

NAMES = ("aloisia", "bertrand", "cunegund", "dieudonne", "eadgyth")
SECRETS = ("hunter2swordfish", "correcthorsebattery", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "AKIAIOSFODNN7EXAMPLE",
           "ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ")  # fmt: skip
NUMBERS = (4111111111111111, 5555555555554444, 5369043991, 536904399, 4012888888881881)
PARTS = (4012, 8888, 1881, 3704, 536, 4399, 1234567)  # of cards, IBANs, IDs and phone numbers in groups


def personal(i, rng):
    name, other = rng.sample(NAMES, 2)
    return rng.choice([
        f"INFO  mail to {name}.mueller@example-mail.test bounced after {i} ms",
        f"INFO  login user={name} from 10.0.{i % 7}.{i % 200} ok",
        f"INFO  user {name} logged in from 10.0.0.{i % 9}",
        f"WARN  Failed password for invalid user {other} from 203.0.113.{i % 90} port {i} ssh2",
        f'INFO  stored {{"customer_name": "{name} mueller", "patientId": "{other}", "rows": {i}}} in cache',
        f"INFO  visit by patient {name.title()} Mueller took {i} ms",
        f"DEBUG connect db_password={SECRETS[1]} host=h{i} ok",
        f"DEBUG password: {SECRETS[0]} tried {i} times",
        f"DEBUG request {i} with Authorization: Bearer {SECRETS[2]}{name} done",
        f"DEBUG aws key {SECRETS[3]} and {SECRETS[4]} in use",
        f"INFO  open postgres://{name}:{SECRETS[0]}@db/x took {i} ms",
        f"INFO  paid with {NUMBERS[i % 2]} in {i} ms",
        f"INFO  paid with 4012 8888 8888 1881 in {i} ms",
        f"INFO  transfer from DE89 3704 0044 0532 0130 00 of {i} units",
        f"INFO  insured 536-90-4399 at place {i}",
        f"INFO  call from +49 170 1234567 lasted {i} s",
        f"INFO  ssn={NUMBERS[3]} phone={NUMBERS[2]} row={i}",
    ])  # fmt: skip


def as_json(text, i):
    level, _, message = text.partition(" ")
    return orjson.dumps({"ts": f"2026-03-02T08:{i // 60 % 60:02}:{i % 60:02}Z", "level": level, "msg": message.strip(),
                         "user": {"name": NAMES[i % 5], "email": f"{NAMES[i % 5]}@example-mail.test"},
                         "card": NUMBERS[4], "token": SECRETS[1], "n": i}).decode()  # fmt: skip


def lines(count, seed=0, form="text"):
    rng = random.Random(seed)
    texts = [personal(i, rng) for i in range(count)]
    if form == "json":
        return [as_json(text, i) for i, text in enumerate(texts)]
    return [f"2026-03-02 08:{i // 60 % 60:02}:{i % 60:02}.000 {text}" for i, text in enumerate(texts)]


def numbers_in(value):
    if isinstance(value, list | dict):
        return {n for item in (value.values() if isinstance(value, dict) else value) for n in numbers_in(item)}
    return {value} if isinstance(value, int | float) and not isinstance(value, bool) else set()


def traces(folder):
    """What of the people and secrets above stands anywhere in a folder, as text, number or fingerprint."""
    content = b"\n".join(path.read_bytes() for path in folder.iterdir()).lower()
    words = [*NAMES, "mueller", "example-mail", "swordfish", "correcthorse", "eyjh", "akia", "ghp_", "203.0.113"]
    found = {word for word in words if word.encode() in content}
    numbers = {n for path in folder.glob("*.json") for n in numbers_in(orjson.loads(path.read_bytes()))}
    found |= {n for n in (*NUMBERS, *PARTS) if n in numbers}
    return found | {name for name in (*NAMES, "mueller", *SECRETS) if fingerprint(name) in numbers}


@pytest.fixture(scope="module", params=["text", "json"])
def folders(request, base, tmp_path_factory):
    """Folders of the same lines, with and without the masks; both were told of an anomaly and have a label."""
    out = {}
    for privacy in (True, False):
        folder = tmp_path_factory.mktemp("d") / "d"
        made = base.onboard(lines(300, form=request.param), source="clinic", privacy=privacy,
                            anomalies=lines(20, 9, request.param))  # fmt: skip
        made.feedback(next(made.score(lines(1, 5, request.param))), anomalous=True, by="ada")
        made.save_pretrained(folder)
        out[privacy] = folder
    return out


def test_no_person_and_no_secret_is_in_a_folder(folders):
    assert traces(folders[True]) == set()


def test_without_the_masks_they_are(folders):
    assert len(traces(folders[False])) >= 8


def test_what_a_folder_keeps_is_told_and_nothing_of_it_looks_personal(folders):
    kept = kept_by(folders[True])
    assert (kept.source, kept.privacy, kept.looking_personal) == ("clinic", True, [])
    detector = Detector.from_pretrained(folders[True])
    assert kept.texts["templates"] == list(detector.memory.templates)
    assert kept.texts["labels.by"] == ["ada"]
    assert kept.texts["labels.template"] == [detector.labels[0].template]
    assert kept.fingerprints["words"] == len(detector.memory.context.words)


def test_every_text_of_the_json_files_is_told(folders):
    kept = json.dumps(kept_by(folders[True]).to_dict(), ensure_ascii=False)
    data = orjson.loads((folders[True] / "templates.json").read_bytes())
    texts = [*data["templates"], *(text for text, _ in data["tree"]), *(slot[1] for slot in data["slots"])]
    assert all(json.dumps(text, ensure_ascii=False) in kept for text in texts)


def test_a_folder_without_the_masks_shows_what_looks_personal(folders):
    found = kept_by(folders[False]).looking_personal
    assert any(NAMES[0] in str(row["text"]) or "example-mail" in str(row["text"]) for row in found)


def test_scoring_follows_the_detector_and_names_what_it_named_when_learning(folders):
    line = "2026-03-02 09:00:00.000 INFO  mail to new.person@elsewhere.test bounced after 7 ms"
    masked, plain = (next(Detector.from_pretrained(folders[p]).score([line])) for p in (True, False))
    assert masked.template == "mail to <EMAIL> bounced after <NUM> ms"
    assert "<EMAIL>" not in plain.template


def test_a_folder_from_before_the_masks_is_read_as_it_was_made(folders, tmp_path):
    old = shutil.copytree(folders[False], tmp_path / "old")
    manifest = json.loads((old / MANIFEST).read_text())
    del manifest["privacy"]
    (old / MANIFEST).write_text(json.dumps(manifest))
    before, after = (Detector.from_pretrained(folder) for folder in (folders[False], old))
    later = lines(60, 3)
    assert [x.raw_score for x in before.score(later)] == [x.raw_score for x in after.score(later)]
    assert kept_by(old).privacy is False


def test_saving_and_loading_keeps_the_masks_and_the_scores(folders, tmp_path):
    first = Detector.from_pretrained(folders[True])
    first.save_pretrained(tmp_path / "again")
    later = lines(60, 3)
    again = Detector.from_pretrained(tmp_path / "again")
    assert [x.raw_score for x in first.score(later)] == [x.raw_score for x in again.score(later)]
    assert again.summary()["privacy"] is True


def test_what_joins_a_detector_later_is_masked_too(folders, tmp_path):
    made = Detector.from_pretrained(folders[True])
    made.learn(lines(300, 4), including_alarms=True)
    assert made.memory.privacy is True
    made.save_pretrained(tmp_path / "later")
    assert traces(tmp_path / "later") == set()


def test_a_reason_names_no_word_that_was_masked(base):
    made = base.onboard(lines(300), source="clinic")
    (line,) = made.session().score(list(_records(["2026-03-02 09:00:00.000 ERROR user zebedee exploded and vanished"])),
                                   explain="all")  # fmt: skip
    new_words = [reason.text.split(" in '")[0] for reason in line.reasons if reason.kind == "new_words"]
    assert all("zebedee" not in text for text in new_words)


def _records(texts):
    from logmeta.records import as_records

    return as_records(texts)


def test_inspect_tells_what_a_folder_keeps(tmp_path):
    (tmp_path / "normal.log").write_text("\n".join(lines(120)))
    for flags, name in (((), "masked"), (("--no-privacy",), "plain")):
        done = logmeta("onboard", tmp_path / "normal.log", "--source", "clinic", "--out", tmp_path / name, *flags)
        assert done.returncode == 0
    masked, plain = (logmeta("inspect", tmp_path / name, "--privacy") for name in ("masked", "plain"))
    assert (masked.returncode, plain.returncode) == (0, 0)
    assert orjson.loads(masked.stdout)["looks_personal"] == []
    assert {row["kind"] for row in orjson.loads(plain.stdout)["looks_personal"]} >= {"templates", "tree"}


def test_inspecting_what_is_no_detector_says_so(tmp_path):
    done = logmeta("inspect", tmp_path, "--privacy")
    assert done.returncode == 4
    assert b"is no detector folder" in done.stderr


def test_a_flag_goes_before_the_environment_and_that_before_the_settings_file(tmp_path):
    (tmp_path / "normal.log").write_text("\n".join(lines(60)))
    (tmp_path / "logmeta.toml").write_text("[onboard]\nprivacy = false\n")
    made = ("onboard", "normal.log", "--source", "s", "--out", "d")

    def privacy(*flags, **environment):
        assert logmeta(*made, *flags, cwd=tmp_path, **environment).returncode == 0
        return kept_by(tmp_path / "d").privacy

    assert privacy() is False
    assert privacy(LOGMETA_ONBOARD__PRIVACY="true") is True
    assert privacy("--no-privacy", LOGMETA_ONBOARD__PRIVACY="true") is False
