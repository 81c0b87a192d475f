"""Sets of loghub in the layouts they are downloaded in, as small folders of invented lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_files import archive, instance, labels, streams, write

from logmeta.datasets import Limits, available, load
from logmeta.errors import InputError

# Loghub


ALERTS = ("- 100 node1 up", "LEAK 101 node1 leaking", "", "- 102 node2 up", "- 103 node2 - LEAK gone")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("bgl_full", "BGL/BGL.log"),
        ("thunderbird_full", "Thunderbird/Thunderbird.log"),
        ("spirit_full", "Spirit/spirit2"),
        ("liberty_full", "Liberty/liberty2"),
    ],
)
def test_the_alert_column_becomes_the_label_and_leaves_the_text(name, file, tmp_path):
    write(tmp_path / "loghub" / file, *ALERTS)
    assert available(tmp_path) == [name]
    got = load(name, tmp_path)
    assert [line.text for line in got.ordinary] == ["100 node1 up", "101 node1 leaking"]
    assert labels(got.ordinary) == [0, 1]
    assert [line.text for line in got.test] == ["102 node2 up", "103 node2 - LEAK gone"]
    assert [line.seconds for line in got.test] == [102.0, 103.0]
    assert got.family == "supercomputers"


def test_only_the_first_lines_of_a_huge_log_are_read(tmp_path):
    write(tmp_path / "loghub/BGL/BGL.log", *ALERTS)
    got = load("bgl_full", tmp_path, limits=Limits(max_lines=2))
    assert (len(got.ordinary), len(got.test)) == (1, 1)


def test_bgl_2k_is_halved_and_its_line_ends_are_cut(tmp_path):
    text = "\r\n".join(line for line in ALERTS if line)
    archive(tmp_path / "loghub_2k/loghub_2k.tar.xz", {"loghub_2k/BGL/BGL_2k.log": text})
    got = load("bgl_2k", tmp_path)
    assert [line.text for line in (*got.ordinary, *got.test)][-1] == "103 node2 - LEAK gone"
    assert (len(got.ordinary), got.positives) == (2, 0)


def test_an_archive_without_bgl_says_what_it_lacks(tmp_path):
    archive(tmp_path / "loghub_2k/loghub_2k.tar.xz", {"loghub_2k/README.md": "hello"})
    with pytest.raises(InputError, match=r"holds no loghub_2k/BGL/BGL_2k.log; get it again"):
        load("bgl_2k", tmp_path)


def openstack_full(data: Path) -> Path:
    folder = data / "loghub" / "OpenStack"

    def line(name: str, second: int, number: int) -> str:
        return f"{name} 2020-01-01 00:00:{second:02d}.000 1 INFO maker [instance: {instance(number)}] made"

    write(folder / "openstack_normal1.log", line("maker.log.1.2020-01-02_00:00:00", 1, 1), "maker.log.1 idle")
    write(folder / "openstack_normal2.log", line("maker.log.2", 2, 2), line("maker.log.2", 3, 1))
    write(folder / "openstack_abnormal.log", line("maker.log", 4, 3), line("maker.log", 5, 4))
    write(folder / "anomaly_labels.txt", "instances:", instance(3))
    return data


def test_openstack_lines_lose_the_file_name_that_tells_the_recording(tmp_path):
    got = load("openstack_full", openstack_full(tmp_path))
    assert got.ordinary[0].text == f"2020-01-01 00:00:01.000 1 INFO maker [instance: {instance(1)}] made"
    assert [(line.stream, line.label, line.seconds - 1577836800) for line in got.test] == [
        (instance(2), 0, 2),
        (instance(3), 1, 4),
        (instance(4), 0, 5),
    ]
    assert "2 lines that name no instance" in got.card.notes


def test_openstack_labels_without_an_instance_are_refused(tmp_path):
    write(openstack_full(tmp_path) / "loghub/OpenStack/anomaly_labels.txt", "none")
    with pytest.raises(InputError, match=r"anomaly_labels.txt names no instance"):
        load("openstack_full", tmp_path)


def hadoop_full(data: Path, *label_lines: str) -> Path:
    folder = data / "loghub" / "Hadoop"
    for number in range(1, 6):
        at = f"2020-01-01 0{number}:00:0"
        write(
            folder / f"application_1_{number}" / "container_1_1.log",
            f"{at}1,000 INFO start",
            "  of app",
            f"{at}3,000 end",
        )
        write(folder / f"application_1_{number}" / "container_1_2.log", f"{at}2,000 INFO work")
    write(folder / "abnormal_label.txt", *label_lines)
    return data


def test_hadoop_applications_are_labelled_by_section_and_judged_later_than_ordinary(tmp_path):
    sections = ("### Count", "Normal:", "+ application_1_2", "Machine down:", "+ application_1_1", "+ application_1_3")
    more = ("### Rank", "Normal:", "+ application_1_4", "Disk full:", "+ application_1_5", "+ application_1_9")
    got = load("hadoop_full", hadoop_full(tmp_path, *sections, *more))
    assert [line.text.split(" ")[-1] for line in got.ordinary] == ["start", "app", "work", "end"]
    assert streams(got.ordinary) == {"application_1_2"}
    assert {line.stream: line.label for line in got.test} == {
        "application_1_3": 1,
        "application_1_4": 0,
        "application_1_5": 1,
    }
    assert "1 that start before and 1 labelled ones without logs are left out" in got.card.notes
    assert got.only_auroc


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("+ application_1_1",), "line 1: application_1_1 comes before any of normal"),
        (("Normal:",), "names no application"),
    ],
)
def test_hadoop_labels_without_sections_are_refused(lines, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load("hadoop_full", hadoop_full(tmp_path, *lines))


def full_hdfs(data: Path, log: str, table: str) -> Path:
    order = ["blk_-1", "blk_2", "blk_-1", "blk_3", "blk_4", "blk_9"]
    lines = [f"200101 00000{i} 7 INFO store.Node: wrote {block}" for i, block in enumerate(order)]
    write(data / "loghub" / log, *lines, "no block here")
    rows = ["blk_-1,Normal", "blk_2,Anomaly", "blk_3,Anomaly", "blk_4,Normal"]
    write(data / "loghub" / table, "BlockId,Label", *rows)
    return data


@pytest.mark.parametrize(
    ("log", "table"),
    [
        ("HDFS_v1/HDFS.log", "HDFS_v1/preprocessed/anomaly_label.csv"),
        ("HDFS/HDFS.log", "HDFS/anomaly_label.csv"),
    ],
)
def test_the_full_hdfs_is_read_in_both_layouts(log, table, tmp_path):
    assert available(full_hdfs(tmp_path, log, table)) == ["hdfs_full"]
    got = load("hdfs_full", tmp_path)
    assert [(line.stream, line.label) for line in got.ordinary] == [("blk_-1", 0), ("blk_2", 1), ("blk_-1", 0)]
    assert [(line.stream, line.label) for line in got.test] == [("blk_3", 1), ("blk_4", 0)]
    assert got.test[0].seconds == 1577836803.0
    assert "2 lines without a labelled block" in got.card.notes


def test_a_strange_hdfs_label_is_refused_by_line(tmp_path):
    full_hdfs(tmp_path, "HDFS/HDFS.log", "HDFS/anomaly_label.csv")
    write(tmp_path / "loghub/HDFS/anomaly_label.csv", "BlockId,Label", "blk_2,Bad")
    with pytest.raises(InputError, match="line 2: Label is 'Bad'; needed is Normal or Anomaly"):
        load("hdfs_full", tmp_path)
