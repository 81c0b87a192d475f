"""The catalogue of labelled sets, its samples and cards; the real sets where they are."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import pytest
from dataset_files import live, streams

from logmeta.datasets import EXPECTED, SETS, Limits, available, load, names
from logmeta.datasets.cards import render
from logmeta.datasets.entry import smallest_hashes, split_in_time
from logmeta.datasets.files import merged
from logmeta.datasets.labelled import LabelledLine
from logmeta.errors import InputError, UsageError

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("LOGMETA_DATA", ROOT.parent / "shared" / "data"))
FIXTURE = ROOT / "fixtures" / "postgresql"


# The catalogue


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"'hdsf'; did you mean 'hdfs'\? there are: apache, "):
        load("hdsf", tmp_path)


@pytest.mark.parametrize("name", names())
def test_a_missing_set_says_where_it_was_looked_for_where_to_get_it_and_where_to_put_it(name, tmp_path):
    with pytest.raises(InputError) as error:
        load(name, tmp_path)
    for part in (str(tmp_path), SETS[name].card.origin, SETS[name].layouts[0][-1], "nothing is downloaded"):
        assert part in str(error.value)


def test_an_empty_folder_offers_nothing(tmp_path):
    assert available(tmp_path) == []


def test_every_card_tells_origin_licence_label_quality_and_leaks():
    for entry in SETS.values():
        assert all((entry.card.origin, entry.card.licence, entry.card.label_quality, entry.card.known_leaks)), (
            entry.name
        )


def test_a_damaged_archive_is_an_input_error_with_a_way_out(tmp_path):
    (tmp_path / "loghub_2k").mkdir()
    (tmp_path / "loghub_2k" / "loghub_2k.tar.xz").write_bytes(b"not an archive")
    with pytest.raises(InputError, match=r"'bgl_2k' .* cannot be read: .*; get it again from https://github.com"):
        load("bgl_2k", tmp_path)


@pytest.mark.parametrize("name", ["limit_sessions", "max_runs", "max_lines"])
def test_a_limit_below_one_is_refused(name):
    with pytest.raises(UsageError, match=f"{name} is 0; it must be at least 1"):
        Limits(**{name: 0})


# Time and sampling


def session_lines(*names: str) -> list[LabelledLine]:
    return [LabelledLine(f"line {i}", name) for i, name in enumerate(names)]


def test_an_early_session_that_goes_on_after_test_begins_is_left_out_whole():
    ordinary, test, left_out = split_in_time(session_lines("a", "b", "a", "c", "b", "d", "c"))
    assert [line.text for line in ordinary] == ["line 0", "line 2"]
    assert [line.text for line in test] == ["line 3", "line 5", "line 6"]
    assert left_out == 2


def test_a_single_session_leaves_nothing_ordinary():
    assert split_in_time(session_lines("a", "a"))[0] == []


def test_a_sample_depends_on_names_alone_and_grows_with_its_size():
    everything = [f"blk_{i}" for i in range(50)]
    small, large = smallest_hashes(everything, 5), smallest_hashes(reversed(everything), 20)
    assert (len(small), len(large)) == (5, 20)
    assert small < large
    assert smallest_hashes(everything, None) == set(everything)


def test_logs_are_merged_by_time_and_a_line_without_one_stays_behind_its_record():
    first = ["2020-01-01 00:00:01.000 a", "  of a", "2020-01-01 00:00:03.000 c"]
    second = ["torn", "2020-01-01 00:00:02.000 b"]
    got = merged([first, second])
    assert [text for _, text in got] == ["torn", first[0], "  of a", second[1], first[2]]
    assert math.isnan(got[0][0])
    assert got[2][0] == got[1][0] == 1577836801.0


# Cards


def test_the_page_of_cards_counts_what_is_here_and_names_no_folder_of_this_machine(tmp_path):
    page = render(live(tmp_path / "live" / "kafka").parents[1])
    assert "| `kafka` | pump | line | 2 | 10 | 1 | 2 | `" in page
    assert str(tmp_path) not in page
    for name, entry in SETS.items():
        assert f"## {name}\n\n{entry.card.title}" in page


def test_the_page_of_cards_can_be_written_without_any_data():
    assert f"| `hdfs` | hdfs | session | | | | | `{EXPECTED['hdfs']}` |" in render()


# The real sets


def real(name: str, limits: Limits | None = None):
    if not DATA.is_dir() or name not in available(DATA):
        pytest.skip(f"set {name!r} is not in {DATA}; set LOGMETA_DATA to the folder of labelled logs")
    return load(name, DATA, limits=limits or Limits(), verify=limits is None)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"nova", "cinder", "fixture", "trainticket"}))
def test_a_real_set_is_the_one_the_figures_are_for_and_no_session_is_in_both_parts(name):
    got = real(name)
    assert not streams(got.ordinary) & streams(got.test) - {None}
    assert got.positives > 0
    end = max((line.seconds for line in got.ordinary if not math.isnan(line.seconds)), default=0.0)
    assert not any(line.seconds < end for line in got.test)


@pytest.mark.shared_data
def test_no_line_of_a_later_hdfs_block_is_ordinary():
    got = real("hdfs")
    first_named = {re.search(r"blk_-?\d+", line.text)[0] for line in got.ordinary}
    assert not first_named & streams(got.test)
    assert (len(streams(got.ordinary)), len(streams(got.test))) == (4983, 5751)


@pytest.mark.shared_data
def test_no_bgl_line_begins_with_its_label():
    got = real("bgl_2k")
    assert all(line.text[:10].isdecimal() for line in (*got.ordinary, *got.test))
    assert sum(line.label for line in (*got.ordinary, *got.test)) == 143


@pytest.mark.shared_data
def test_a_sample_of_cinder_runs_is_judged_later_than_it_is_learned_from():
    got = real("cinder", Limits(max_runs=5))
    assert [len(streams(part)) for part in (got.ordinary, got.test, got.control)] == [5, 10, 5]
    assert max(line.seconds for line in got.ordinary) < min(line.seconds for line in (*got.test, *got.control))
    assert got.positives == 5
