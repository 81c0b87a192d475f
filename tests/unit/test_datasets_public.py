"""Public sets, each in its own layout, as small folders of invented lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dataset_files import archive, instance, labels, streams, write

from logmeta.datasets import Limits, load
from logmeta.datasets.entry import smallest_hashes
from logmeta.errors import InputError

# HDFS


def parquet(data: Path, *, columns: dict[str, str] | None = None) -> Path:
    import datetime as dt

    import polars as pl

    folder = data / "hdfs_loglead"
    folder.mkdir(parents=True)
    order = ["blk_1", "blk_2", "blk_1", "blk_3", "blk_2", "blk_4"]
    events = pl.DataFrame(
        {
            "date": ["200101"] * 6,
            "time": [f"00000{i}" for i in range(6)],
            "id": ["7"] * 6,
            "level": ["INFO"] * 6,
            "component": ["store.Node:"] * 6,
            "m_message": [f"wrote {block}" for block in order],
            "seq_id": order,
            "m_timestamp": [dt.datetime(2020, 1, 1, 0, 0, i) for i in range(6)],
        }
    )
    events.sample(fraction=1, shuffle=True, seed=1).rename(columns or {}).write_parquet(
        folder / "hdfs_events_2percent.parquet"
    )
    wrong = [False, True, False, True]
    blocks = pl.DataFrame({"seq_id": ["blk_1", "blk_2", "blk_3", "blk_4"], "anomaly": wrong})
    blocks.write_parquet(folder / "hdfs_seqs_2percent.parquet")
    return data


def test_hdfs_blocks_are_split_in_time_and_keep_the_label_of_their_block(tmp_path):
    got = load("hdfs", parquet(tmp_path))
    assert [line.text for line in got.ordinary] == [
        "200101 000000 7 INFO store.Node: wrote blk_1",
        "200101 000002 7 INFO store.Node: wrote blk_1",
    ]
    assert labels(got.ordinary) == [0, 0]
    assert [(line.stream, line.label) for line in got.test] == [("blk_3", 0), ("blk_4", 1)]
    assert got.test[0].seconds == 1577836803.0
    assert "2 lines of sessions that went on are left out" in got.card.notes
    assert (got.unit, got.positives) == ("session", 1)


def test_a_sample_of_hdfs_keeps_whole_blocks_and_says_so(tmp_path):
    got = load("hdfs", parquet(tmp_path), limits=Limits(limit_sessions=2))
    assert streams([*got.ordinary, *got.test]) == smallest_hashes(["blk_1", "blk_2", "blk_3", "blk_4"], 2)
    assert "2 of 4 sessions were sampled" in got.card.notes


def test_a_parquet_file_without_the_needed_columns_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load("hdfs", parquet(tmp_path, columns={"m_message": "text"}))


# Kalaki and event sequences


def nova_line(number: int, text: str) -> str:
    return f"  INFO maker [req-x] [instance: {instance(number)}] {text}"


def test_kalaki_lines_belong_to_the_instance_they_name_and_lose_the_blanks_that_tell_the_phase(tmp_path):
    folder = tmp_path / "openstack_kalaki"
    lines = [nova_line(1, "made"), "INFO plugged", nova_line(1, "gone"), nova_line(2, "made"), nova_line(7, "made")]
    write(folder / "openstack-nova-sample.log", *lines)
    rows = [f"{instance(1)},2,0,normal", f"{instance(2)},1,1,gone"]
    write(folder / "sample_labels.csv", "instance,lines,label,kind", *rows)
    got = load("kalaki", tmp_path)
    assert [(line.stream, line.label) for line in got.ordinary] == [(instance(1), 0)] * 2
    assert [(line.stream, line.label) for line in got.test] == [(instance(2), 1)]
    assert got.test[0].text.startswith("INFO maker")
    assert "2 lines that name no labelled instance are left out" in got.card.notes


def sequences(data: Path, folder: str, templates: str, files: dict[str, list[str]]) -> Path:
    write(data / "ait_sequences/templates" / templates, "made <*>", 'said "<*>, <*>"', "gone <*>")
    for name, lines in files.items():
        write(data / "ait_sequences" / folder / name, *lines)
    return data


def test_event_numbers_count_template_lines_from_one(tmp_path):
    files = {
        "openstack_train": ["a,1 2"],
        "openstack_test_normal": ["b,1", "c,2"],
        "openstack_test_abnormal": ["d,1 3"],
    }
    got = load("kalaki_sequences", sequences(tmp_path, "openstack_parisakalaki", "OpenStack_templates.csv", files))
    assert [(line.stream, line.text) for line in got.ordinary] == [
        ("a", "made <*>"),
        ("a", 'said "<*>, <*>"'),
        ("b", "made <*>"),
    ]
    assert [(line.stream, line.text, line.label) for line in got.test] == [
        ("c", 'said "<*>, <*>"', 0),
        ("d", "made <*>", 1),
        ("d", "gone <*>", 1),
    ]


@pytest.mark.parametrize(
    ("events", "message"), [("1 x", "events must be numbers"), ("4", "not in 1-3"), ("0", "not in")]
)
def test_an_event_without_template_is_refused_by_line(events, message, tmp_path):
    files = {
        "openstack_train": ["a,1"],
        "openstack_test_normal": ["b,1"],
        "openstack_test_abnormal": ["d,1", f"e,{events}"],
    }
    with pytest.raises(InputError, match=f"openstack_test_abnormal line 2: .*{message}"):
        load("kalaki_sequences", sequences(tmp_path, "openstack_parisakalaki", "OpenStack_templates.csv", files))


def test_no_hadoop_application_is_in_both_parts(tmp_path):
    files = {
        "hadoop_train": ["app_1/c_1,1", "app_2/c_1,1"],
        "hadoop_test_normal": ["app_1/c_2,2", "app_2/c_2,2"],
        "hadoop_test_abnormal_machine_down": ["app_3/c_1,3"],
        "hadoop_test_abnormal_network_disconnection": ["app_4/c_1,3"],
        "hadoop_test_abnormal_disk_full": ["app_5/c_1,3"],
    }
    got = load("hadoop", sequences(tmp_path, "hadoop_loghub", "Hadoop_templates.csv", files))
    assert streams(got.ordinary) == {"app_1/c_1", "app_1/c_2"}
    assert streams(got.test) == {"app_2/c_1", "app_2/c_2", "app_3/c_1", "app_4/c_1", "app_5/c_1"}
    assert (got.positives, got.only_auroc) == (3, True)


# OpenStack fault injection


def campaign(data: Path, tests: int = 4) -> Path:
    """Each test has a first round at its full hour and a second one half an hour later; every third first one fails."""
    files, rows = {}, []
    for test in range(1, tests + 1):
        for number, minute in ((1, "00"), (2, "30")):
            at, folder = f"2020-01-01 {test:02d}:{minute}", f"Cinder/Test_{test}/logs/round_{number}"
            files[f"{folder}/cinder/api.log"] = f"{at}:01.000 asked\n{at}:03.000 told\n"
            files[f"{folder}/cinder/volume.log"] = f"{at}:02.000 made\n  of 3 parts\n"
            files[f"{folder}/trigger_log"] = "Injection activated!\n"
            outcome = "FAILURE" if number == 1 and test % 3 == 0 else "NO_FAILURE"
            rows.append(f"Cinder,Test_{test},round_{number},{outcome}")
    archive(data / "openstack_fi" / "Cinder.tar.xz", files)
    write(data / "openstack_fi" / "labels.csv", "campaign,test,round,outcome", *rows)
    return data


def test_a_run_holds_the_lines_of_all_its_services_in_time_order(tmp_path):
    got = load("cinder", campaign(tmp_path))
    run = [line for line in got.test if line.stream == "Test_3/round_1"]
    assert [line.text.split(" ", 2)[-1].strip() for line in run] == ["asked", "made", "of 3 parts", "told"]
    assert labels(run) == [1] * 4
    assert run[1].seconds == run[2].seconds == 1577847602.0


def test_judged_runs_begin_after_the_ordinary_ones_have_ended(tmp_path):
    got = load("cinder", campaign(tmp_path))
    assert streams(got.ordinary) == {"Test_1/round_2", "Test_2/round_2"}
    assert list(dict.fromkeys(line.stream for line in got.test)) == [
        "Test_3/round_1",
        "Test_3/round_2",
        "Test_4/round_2",
    ]
    assert streams(got.control) == {"Test_4/round_1"}
    assert max(line.seconds for line in got.ordinary) < min(line.seconds for line in (*got.test, *got.control))
    assert (got.family, got.positives) == ("openstack", 1)


def test_no_part_of_a_campaign_has_more_runs_than_asked_for(tmp_path):
    got = load("cinder", campaign(tmp_path, 12), limits=Limits(max_runs=2))
    assert (len(streams(got.ordinary)), len(streams(got.test)), len(streams(got.control))) == (2, 4, 2)
    assert "2 of 6 ordinary, 2 of 6 normal test, 2 of 2 anomalous test, 2 of 4 control" in got.card.notes


def test_a_campaign_with_a_single_clean_round_is_refused(tmp_path):
    with pytest.raises(InputError, match="1 clean second rounds with logs; at least 2 are needed"):
        load("cinder", campaign(tmp_path, 1))


# TrainTicket

_START = 1_600_000_000


def ticket(second: int, pod: str, text: str, **changed: str) -> str:
    inner = json.dumps({"log": f"{text}\n", "stream": "stdout", "time": "2020-09-13T12:30:00.5Z"})
    row = {"TimeUnixNano": f"{(_START + second) * 10**9}", "PodName": pod, "Log": inner} | changed
    quoted = row["Log"].replace('"', '""')
    return f'{row["TimeUnixNano"]},{row["PodName"]},"{quoted}"'


def tickets(data: Path, *faulty: str, windows: tuple[str, ...] = ("2020-09-13 12:28:20,ts-pay,leak",)) -> Path:
    head = "TimeUnixNano,PodName,Log"
    calm = [ticket(1, "ts-pay-abc12-x1x1x", "second"), ticket(0, "ts-pay-abc12-x1x1x", "first")]
    folder = data / "nezha_trainticket"
    files = {"construct_data/d/log/1_log.csv": calm, "rca_data/d/log/2_log.csv": list(faulty)}
    archive(folder / "logs.tar.xz", {name: "\n".join([head, *lines]) for name, lines in files.items()})
    write(folder / "fault_windows.csv", "inject_time_utc,service,type", *windows)
    return data


PAY, ROAD = "ts-pay-abc12-x1x1x", "ts-road-abc12-y2y2y"


def test_a_fault_marks_its_own_service_and_leaves_the_others_open(tmp_path):
    rows = [  # the fault begins in second 100 and is taken to last until second 280
        ticket(281, PAY, "after"),
        ticket(99, PAY, "before"),
        ticket(100, PAY, "in"),
        ticket(279, ROAD, "else"),
        ticket(280, PAY, "over"),
    ]
    got = load("trainticket", tickets(tmp_path, *rows))
    assert [line.text for line in got.ordinary] == ["first", "second"]
    assert [(line.text, line.label) for line in got.test] == [
        ("before", 0),
        ("in", 1),
        ("else", None),
        ("over", 0),
        ("after", 0),
    ]
    assert [(i.first, i.last, i.kind) for i in got.incidents] == [(2, 3, "leak")]
    assert got.test[1].seconds == _START + 100
    assert (got.test[1].stream, got.noisy) == (PAY, True)


def test_faults_that_touch_become_one_incident(tmp_path):
    windows = ("2020-09-13 12:28:20,ts-pay,leak", "2020-09-13 12:29:20,ts-road,stop")
    rows = [ticket(second, ROAD, f"at {second}") for second in (100, 200, 300, 400)]
    got = load("trainticket", tickets(tmp_path, *rows, windows=windows))
    assert [(i.first, i.last, i.kind) for i in got.incidents] == [(1, 3, "leak+stop")]


def test_repeated_broken_and_early_rows_are_left_out_and_counted(tmp_path):
    rows = [ticket(50, PAY, "x"), ticket(50, PAY, "x"), ticket(60, PAY, "y", Log='{"log": "cut'), ticket(1, PAY, "z")]
    got = load("trainticket", tickets(tmp_path, *rows))
    assert [line.text for line in got.test] == ["x"]
    assert "1 lines logged before ordinary ended, 1 repeated rows, 1 rows without a whole JSON" in got.card.notes


def test_a_row_whose_time_overflowed_takes_the_time_of_its_container(tmp_path):
    got = load("trainticket", tickets(tmp_path, ticket(0, PAY, "x", TimeUnixNano="-6795364578871345152")))
    assert got.test[0].seconds == pytest.approx(_START + 200.5)


def test_trainticket_keeps_the_first_lines_when_asked(tmp_path):
    rows = [ticket(second, PAY, str(second)) for second in (30, 10, 20)]
    got = load("trainticket", tickets(tmp_path, *rows), limits=Limits(max_lines=2))
    assert [line.text for line in got.test] == ["10", "20"]
    assert "first 2 of 3 test lines" in got.card.notes
