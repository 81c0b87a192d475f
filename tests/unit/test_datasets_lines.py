"""Sets whose labels lie beside a log: live folders, the fixture, a user's own logs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from dataset_files import labels, live, streams, write

from logmeta.datasets import EXPECTED, Limits, available, live_folder, load, own, own_files
from logmeta.errors import InputError, UsageError

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "fixtures" / "postgresql"


# Live folders


def test_a_live_folder_labels_certain_lines_and_leaves_the_rest_of_its_spans_open(tmp_path):
    got = live_folder(live(tmp_path))
    assert labels(got.test) == [0, 0, None, 1, None, 0, 0, None, 0, None]
    assert [(i.first, i.last, i.kind, i.keyword_free, i.silent, i.symptom) for i in got.incidents] == [
        (3, 5, "leak", True, False, 4),
        (8, 8, "stop", False, True, None),
    ]
    assert got.excluded == ((10, 10),)
    assert (got.name, got.family, got.keyword, got.positives) == ("pump", "pump", "leak|stop", 1)


def test_a_live_folder_needs_only_its_two_logs_and_the_spans(tmp_path):
    live(tmp_path)
    for name in ("excluded_spans.csv", "line_labels.csv", "meta.json"):
        (tmp_path / name).unlink()
    got = live_folder(tmp_path)
    assert labels(got.test)[2:5] == [None] * 3
    assert (got.family, got.keyword, got.excluded) == ("pump", None, ())


def test_a_packed_log_reads_like_a_plain_one(tmp_path):
    plain = live_folder(live(tmp_path))
    for name in ("normal.log", "test.log"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    assert live_folder(tmp_path).sha256 == plain.sha256


def test_a_system_below_live_is_offered_by_its_name(tmp_path):
    live(tmp_path / "live" / "kafka")
    assert available(tmp_path) == ["kafka"]
    assert load("kafka", tmp_path).name == "kafka"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"labels.csv": ["first,last", "1,2"]},
            "labels.csv has the columns first, last; needed are incident_id, first_line",
        ),
        (
            {"labels.csv": ["incident_id,first_line,last_line", "a,1,2", "b,x,4"]},
            "labels.csv line 3: first_line is 'x'",
        ),
        ({"labels.csv": ["incident_id,first_line,last_line", "a,9,11"]}, "line 2: the span 9-11 does not lie .* 1-10"),
        ({"labels.csv": ["incident_id,first_line,last_line", "a,1,3", "b,3,4"]}, "overlap"),
        (
            {"labels.csv": ["incident_id,first_line,last_line,first_symptom_line", "a,1,3,4"]},
            "line 2: first_symptom_line 4 does not lie in its span 1-3",
        ),
        ({"line_labels.csv": ["line_no", "11"]}, "line_labels.csv line 2: line_no 11 does not lie in .* lines 1-10"),
        ({"excluded_spans.csv": ["first_line,last_line", "1,2,3"]}, "line 2 has more cells than the 2 columns"),
        ({"meta.json": ["{"]}, "meta.json is no JSON"),
    ],
)
def test_a_live_folder_with_wrong_labels_is_refused_by_file_and_line(changed, message, tmp_path):
    with pytest.raises(InputError, match=message):
        live_folder(live(tmp_path, **changed))


def test_the_shipped_fixture_is_a_set_of_the_postgresql_family():
    assert available(FIXTURE) == ["fixture"]
    got = load("fixture", FIXTURE, verify=True)
    assert (got.name, got.family, got.keyword, len(got.incidents)) == ("fixture", "postgresql", None, 15)


def test_changed_data_does_not_pass_for_what_the_docs_were_made_with(tmp_path):
    live(tmp_path)
    with pytest.raises(InputError, match=f"has the hash .* are for {EXPECTED['fixture']}; .*verify=False"):
        load("fixture", tmp_path, verify=True)
    assert load("fixture", tmp_path).name == "fixture"


def test_a_hash_is_only_known_for_default_limits():
    with pytest.raises(InputError, match="default limits only; load it with verify=False"):
        load("fixture", FIXTURE, limits=Limits(max_lines=5), verify=True)


# Own logs


def own_folder(folder: Path, *rows: str) -> Path:
    write(folder / "normal.log", "a ok", "b ok")
    write(folder / "test.log", "a ok", "b bad", "a bad", "c ok")
    write(folder / "labels.csv", *rows)
    return folder


def test_own_spans_become_incidents_whose_lines_are_not_judged_one_by_one(tmp_path):
    got = own(own_folder(tmp_path, "first_line,last_line,kind,keyword_free", "2,3,leak,yes"))
    assert labels(got.test) == [0, None, None, 0]
    assert [(i.first, i.last, i.kind, i.keyword_free) for i in got.incidents] == [(2, 3, "leak", True)]


@pytest.mark.parametrize("rows", [("line_no", "2", "3"), ("line_no,label", "2,1", "3,1", "4,0")])
def test_own_line_numbers_label_every_line(rows, tmp_path):
    got = own(own_folder(tmp_path, *rows))
    assert labels(got.test) == [0, 1, 1, 0]
    assert got.incidents == ()


def test_own_lines_get_their_stream_from_a_regex(tmp_path):
    own_folder(tmp_path, "line_no", "2")
    assert [line.stream for line in own(tmp_path, stream_regex=r"^(\w) ").test] == ["a", "b", "a", "c"]
    assert [line.stream for line in own(tmp_path, stream_regex="^(?:b|c)").test] == [None, "b", None, "c"]
    assert streams(own(tmp_path).test) == {None}


def test_own_logs_are_offered_for_the_folder_they_lie_in(tmp_path):
    own_folder(tmp_path, "line_no", "2")
    assert available(tmp_path) == ["own"]
    assert load("own", tmp_path).family == tmp_path.name


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("start,end", "1,2"), r"the columns start, end; needed are first_line,last_line\[.* or line_no\[,label\]"),
        (
            ("first_line,last_line,why", "1,2,x"),
            "has the columns first_line, last_line, why; needed are first_line, last",
        ),
        (("first_line", "1"), "has the columns first_line; needed are first_line, last_line, optional kind"),
        (("line_no,cause", "1,x"), "has the columns line_no, cause; needed are line_no, optional label"),
        (("first_line,last_line", "1,2.5"), "labels.csv line 2: last_line is '2.5'; a whole number is needed"),
        (("first_line,last_line", "1,"), "labels.csv line 2: last_line is ''; a whole number is needed"),
        (("first_line,last_line", "0,2"), "line 2: the span 0-2 does not lie in the test log, which has lines 1-4"),
        (("first_line,last_line", "3,2"), "line 2: the span 3-2 does not lie in"),
        (("first_line,last_line", "4,5"), "line 2: the span 4-5 does not lie in"),
        (("first_line,last_line", "3,4", "1,3"), "line 2: the span 3-4 overlaps the span 1-3 of .* line 3; merge"),
        (("first_line,last_line,silent", "1,2,maybe"), "line 2: silent is 'maybe'; needed is true or false"),
        (("line_no", "5"), "line 2: line_no 5 does not lie in the test log, which has lines 1-4"),
        (("line_no", "two"), "line 2: line_no is 'two'"),
        (("line_no,label", "1,2"), "line 2: label is 2; needed is 0"),
        ((), r"the columns ; needed are|the columns \(none\)"),
    ],
)
def test_wrong_own_labels_are_refused_by_line_with_what_is_needed(rows, message, tmp_path):
    with pytest.raises(InputError, match=message):
        own(own_folder(tmp_path, *rows))


def test_own_logs_say_which_file_is_missing(tmp_path):
    own_folder(tmp_path, "line_no", "2")
    with pytest.raises(InputError, match=r"no such log: .*gone.log; own logs need normal.log, test.log, labels.csv"):
        own_files(tmp_path / "normal.log", tmp_path / "gone.log", tmp_path / "labels.csv")
    with pytest.raises(InputError, match=r"no such labels file: .*gone.csv; needed is a CSV file with first_line,"):
        own_files(tmp_path / "normal.log", tmp_path / "test.log", tmp_path / "gone.csv")


def test_an_empty_own_log_is_refused(tmp_path):
    own_folder(tmp_path, "line_no", "2")
    (tmp_path / "normal.log").write_text("")
    with pytest.raises(InputError, match="no ordinary lines"):
        own(tmp_path)


def test_a_broken_stream_regex_is_a_usage_error(tmp_path):
    own_folder(tmp_path, "line_no", "2")
    with pytest.raises(UsageError, match=r"--stream-regex '\(' is no regular expression"):
        own(tmp_path, stream_regex="(")
