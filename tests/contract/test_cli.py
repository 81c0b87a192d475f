"""The command line: data on stdout, words on stderr, the exit code from what happened."""

from __future__ import annotations

import shutil
import subprocess
import sys
from copy import copy
from dataclasses import replace

import orjson
import pytest
from process import QUICK, failed, logmeta

from logmeta.registry import Registry


@pytest.fixture(scope="module")
def incident(tmp_path_factory, test_log, killed):
    """A file in which an incident begins."""
    path = tmp_path_factory.mktemp("logs") / "incident.log"
    path.write_text("\n".join([*test_log[900:1299], killed]) + "\n")
    return path


@pytest.fixture(scope="module")
def quiet(tmp_path_factory, ordinary):
    path = tmp_path_factory.mktemp("logs") / "quiet.log"
    path.write_text("\n".join(ordinary) + "\n")
    return path


def test_onboard_writes_a_folder_says_so_on_stderr_and_keeps_stdout_empty(quiet, tmp_path):
    done = logmeta("onboard", quiet, "--source", "pg", "--out", tmp_path / "d", "--budget-per-day", "5")
    assert (done.returncode, done.stdout) == (0, b"")
    words = done.stderr.decode()
    assert words.startswith(f"onboarded 'pg' from 200 lines, 8 templates -> {tmp_path / 'd'}\n")
    assert "note: provisional:" in words
    shown = logmeta("inspect", tmp_path / "d", "--templates")
    summary = orjson.loads(shown.stdout)
    assert (shown.returncode, summary["source"], summary["alarm_budget_per_day"]) == (0, "pg", 5.0)
    assert len(summary["template_list"]) == 8


def test_score_writes_data_only_to_stdout_and_nothing_to_stderr(incident, detector_folder):
    done = logmeta("score", incident, "--detector", detector_folder)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [line["line_no"] for line in lines] == list(range(1, 401))
    assert all("reasons" in line for line in lines if line["alarm"])


def test_explain_speaks_also_where_the_terminal_knows_only_ascii(incident, detector_folder):
    done = logmeta("explain", incident, "--detector", detector_folder, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"ALARM" in done.stdout


def test_umlauts_survive_a_locale_that_knows_none(detector_folder):
    text = "Größe überschritten ☃"
    done = logmeta(
        "score", "-", "--detector", detector_folder, stdin=text.encode(), LC_ALL="C", PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0, done.stderr.decode()
    assert orjson.loads(done.stdout)["message"] == text


def test_drift_tells_every_change_and_how_it_stands_at_the_end(incident, detector_folder):
    done = logmeta("drift", incident, "--detector", detector_folder)
    told = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, told[-1]["kind"], told[-1]["alarms"] >= 1) == (0, "incident", True)
    assert set(told[0]) == {
        "kind", "line_no", "lines", "unseen_share", "martingale_nats", "alarms", "alarms_per_day", "budget_per_day",
        "settled_templates", "evidence",
    }  # fmt: skip


def test_drift_as_a_table_from_standard_input(quiet, detector_folder):
    done = logmeta("drift", "-", "--detector", detector_folder, "--format", "table", stdin=quiet.read_bytes())
    head, *rows = done.stdout.decode().splitlines()
    assert (done.returncode, head.split()) == (0, ["line", "kind", "unseen", "nats", "evidence"])
    assert rows[0].split()[:2] == ["200", "learning"]


def test_a_line_called_no_anomaly_alarms_no_more_until_that_is_undone(incident, detector_folder, tmp_path):
    folder = tmp_path / "d"
    shutil.copytree(detector_folder, folder)

    def alarms():
        scored = map(orjson.loads, logmeta("score", incident, "--detector", folder).stdout.splitlines())
        return [line["line_no"] for line in scored if line["alarm"]]

    first, *_ = alarms()
    done = logmeta("feedback", incident, "--detector", folder, "--line", first, "--normal", "--by", "ada")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().startswith(f"line {first} (score 0.")
    assert first not in alarms()
    [label] = map(orjson.loads, logmeta("feedback", "--detector", folder, "--list").stdout.splitlines())
    assert (label["number"], label["by"], label["anomalous"]) == (1, "ada", False)
    undone = logmeta("feedback", "--detector", folder, "--undo", "1")
    assert undone.stderr.decode().startswith("withdrawn: not an anomaly: ")
    assert first in alarms()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--line", "1"], 2, "feedback needs LINES, --line N and one of --anomaly, --normal"),
        (["--line", "99999", "--normal"], 3, "line 99999 was labelled"),
        (["--undo", "7"], 2, "there is no label 7; there are 0"),
    ],
)
def test_feedback_that_cannot_be_taken_says_why(words, code, said, incident, detector_folder):
    assert said in failed(logmeta("feedback", incident, "--detector", detector_folder, *words), code)


def test_a_line_that_is_not_there_cannot_be_explained(quiet, detector_folder):
    done = logmeta("explain", quiet, "--detector", detector_folder, "--line", "4711")
    assert "line 4711 was asked for" in failed(done, 3)


def test_a_table_is_written_for_people_and_an_alarm_ends_in_exit_code_1_when_asked(incident, detector_folder):
    done = logmeta("score", incident, "--detector", detector_folder, "--format", "table", "--fail-on-alarm")
    assert done.returncode == 1
    assert done.stdout.decode().splitlines()[0].split() == ["line", "score", "severity", "why"]


def test_incidents_are_told_as_they_start_and_end(incident, detector_folder):
    done = logmeta("score", incident, "--detector", detector_folder, "--per", "incident", "--fail-on-alarm")
    assert (done.returncode, done.stderr) == (1, b"")
    updates = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [update["state"] for update in updates][0 :: len(updates) - 1] == ["start", "end"]
    assert updates[-1]["last_line_no"] == 400
    assert updates[0]["reasons"]
    table = logmeta("score", incident, "--detector", detector_folder, "--per", "incident", "--format", "table")
    assert table.stdout.decode().split()[:4] == ["lines", "anomalous", "streams", "score"]
    refused = logmeta("score", incident, "--detector", detector_folder, "--per", "incident", "--format", "ecs")
    assert "incidents are written as jsonl or table" in failed(refused, 2)


def test_a_reader_that_closes_the_pipe_hears_nothing(tmp_path, detector_folder, ordinary):
    log = tmp_path / "long.log"
    log.write_text("\n".join(ordinary * 50))
    process = subprocess.Popen(
        [sys.executable, "-m", "logmeta.cli", "score", str(log), "--detector", str(detector_folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=QUICK,
    )
    process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) in (0, -13, 141)  # 141: how a shell tells of SIGPIPE
    process.stderr.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "x.log", "--detector", "d", "--bogus"],
        ["bogus"],
        ["score", "x.log"],
        ["score", "x.log", "--detector", "d", "--format", "xml"],
        ["onboard", "x.log", "--source", "a", "--out", "d", "--budget-per-day", "0"],
        ["onboard", "x.log", "--source", "a", "--out", "d", "--budget-per-day", "nan"],
        ["onboard", "x.log", "--source", "a", "--out", "d", "--budget-per-day", "inf"],
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_command_line_ends_in_exit_code_2(arguments):
    assert failed(logmeta(*arguments), 2)


def test_a_mistake_in_the_settings_ends_in_exit_code_2_and_names_the_nearest():
    words = failed(logmeta("score", "x", "--detector", "d", LOGMETA_SCORE__FORMT="table"), 2)
    assert "LOGMETA_SCORE__FORMT" in words


def test_a_stream_regex_that_is_none_ends_in_exit_code_2(quiet, tmp_path):
    done = logmeta("onboard", quiet, "--source", "a", "--out", tmp_path / "d", "--stream-regex", "(")
    assert "is no regular expression" in failed(done, 2)


def test_a_log_that_is_missing_ends_in_exit_code_3(tmp_path, detector_folder):
    done = logmeta("score", tmp_path / "none.log", "--detector", detector_folder)
    assert "cannot read" in failed(done, 3)


def test_a_detector_that_is_missing_ends_in_exit_code_4(quiet, tmp_path):
    done = logmeta("score", quiet, "--detector", tmp_path / "none")
    assert "make one with `logmeta onboard`" in failed(done, 4)


def test_a_damaged_detector_ends_in_exit_code_4(quiet, tmp_path, detector_folder):
    folder = shutil.copytree(detector_folder, tmp_path / "d")
    (folder / "weights.safetensors").write_bytes(b"")
    assert "is damaged" in failed(logmeta("score", quiet, "--detector", folder), 4)


def test_the_bare_command_shows_its_help_where_words_go():
    done = logmeta()
    assert b"Learn a source" in done.stderr
    assert done.stdout == b""


def test_no_command_of_this_file_left_a_temporary_folder_behind(detector_folder):
    assert [path.name for path in detector_folder.parent.iterdir() if path.name.startswith(".")] == []


def test_rollback_puts_the_version_before_or_a_named_one_into_use(detector, tmp_path):
    registry = Registry(tmp_path)
    for _ in range(3):
        registry.publish(detector)
    source = detector.source
    back = logmeta("rollback", source, "--detectors", tmp_path)
    assert (back.returncode, back.stdout, registry.current(source)) == (0, b"", "2")
    assert back.stderr.decode() == f"{source}: version 2 instead of 3\n"
    logmeta("rollback", source, "--detectors", tmp_path, "--to", "3")
    assert registry.current(source) == "3"


@pytest.mark.parametrize("words", [["--to", "9"], ["--to", "../1"]])
def test_rollback_to_a_version_that_is_not_there_changes_nothing(words, detector, tmp_path):
    registry = Registry(tmp_path)
    registry.publish(detector)
    said = failed(logmeta("rollback", detector.source, "--detectors", tmp_path, *words), 2)
    assert f"has no version {words[1]!r}; published: 1" in said
    assert registry.current(detector.source) == "1"


def test_rollback_of_an_unknown_source_or_folder_says_what_is_published(tmp_path):
    said = failed(logmeta("rollback", "nobody", "--detectors", tmp_path / "none"), 2)
    assert "source 'nobody' has no older version to roll back to; published: none" in said


def test_diff_tells_which_lines_two_versions_judge_otherwise(incident, detector, tmp_path):
    older, newer = copy(detector), copy(detector)
    scored = list(older.score(incident.read_text().splitlines()))
    first = next(line for line in scored if line.alarm)
    newer.feedback(first, anomalous=False)
    for name, version in (("1", older), ("2", newer)):
        version.save_pretrained(tmp_path / name)
    done = logmeta("diff", incident, "--detector", tmp_path / "1", "--candidate", tmp_path / "2")
    told = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert (told[0]["line_no"], told[0]["change"], told[0]["starts_alarm"]) == (first.line_no, "silent", True)
    assert {line["template"] for line in told} == {first.template}
    assert done.stderr.decode().startswith(f"{len(scored)} lines: ")
    same = logmeta("diff", incident, "--detector", tmp_path / "1", "--candidate", tmp_path / "1")
    assert (same.returncode, same.stdout) == (0, b"")


def test_versions_of_two_sources_are_not_compared(quiet, detector, detector_folder, tmp_path):
    replace(detector, source="another").save_pretrained(tmp_path / "d")
    said = failed(logmeta("diff", quiet, "--detector", detector_folder, "--candidate", tmp_path / "d"), 2)
    assert "the versions are of two sources, 'postgresql' and 'another'" in said
