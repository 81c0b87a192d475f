"""Sets judged by session: HDFS blocks (parquet), OpenStack instances, and sequences of event numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Final

from logmeta.datasets.entry import Entry, Limits, smallest_hashes, split_in_time
from logmeta.datasets.files import lines_of, table, whole
from logmeta.datasets.labelled import ANOMALOUS, NORMAL, DataCard, LabelledLine, LabelledSet
from logmeta.errors import InputError

_EVENTS, _SEQUENCES = "hdfs_loglead/hdfs_events_2percent.parquet", "hdfs_loglead/hdfs_seqs_2percent.parquet"
_PARTS: Final = ("date", "time", "id", "level", "component", "m_message")
XU: Final = (
    "Xu, Huang, Fox, Patterson, Jordan. Detecting Large-Scale System Problems by Mining Console Logs. SOSP 2009. "
    "Zhu, He, He, Liu, Lyu. Loghub. ISSRE 2023."
)
LOGHUB_TERMS: Final = "loghub terms (research or academic work, cite the paper); lines must not be committed"
_HDFS_CARD: Final = DataCard(
    title="HDFS, 2 % of the blocks, each complete",
    origin="https://github.com/EvoTestOps/LogLead (from https://github.com/logpai/loghub, HDFS_v1)",
    licence=LOGHUB_TERMS,
    label_quality="One label per block, made by hand-written rules on its events (Xu et al. 2009).",
    known_leaks=(
        "Easy: a template not seen in 100 ordinary lines alone gives F1 .84, count vectors more on a random split. "
        "Blocks must be split in time, or later blocks teach what earlier ones look like."
    ),
    citation=XU,
)
_KALAKI = ("openstack_kalaki/openstack-nova-sample.log", "openstack_kalaki/sample_labels.csv")
_KALAKI_PAPER: Final = (
    "Kalaki, Shameli-Sendi, Abbasi. Anomaly detection on OpenStack logs based on an improved robust principal "
    "component analysis model. Software: Practice and Experience 53(3), 2023."
)
_KALAKI_CARD: Final = DataCard(
    title="OpenStack Nova, one virtual machine each session (Kalaki et al.)",
    origin="https://github.com/ParisaKalaki/openstack-logs",
    licence="GPL-3.0; lines must not be committed",
    label_quality="One label per instance, by the phase of the recording in which it was made.",
    known_leaks=(
        "Nearly solved by error words (F1 .97). The phases follow one another: all anomalies come after all normal "
        "instances. Leading blanks, which only the abnormal phases have, are taken off."
    ),
    citation=_KALAKI_PAPER,
)
_AIT: Final = "https://github.com/ait-aecid/anomaly-detection-log-datasets"
_LANDAUER: Final = (
    "Landauer, Skopik, Wurzenberger. A Critical Review of Common Log Data Sets Used for Evaluation of "
    "Sequence-Based Anomaly Detection Techniques. FSE 2024."
)
_SEQUENCES_CARD: Final = DataCard(
    title="OpenStack Nova as event sequences (Kalaki et al., parsed by Landauer et al.)",
    origin=_AIT,
    licence="GPL-3.0; lines must not be committed",
    label_quality="One label per instance. The same instances as in `kalaki`, and more.",
    known_leaks="Severity words are gone with the header; no time, no parameters. Train was drawn at random.",
    citation=f"{_LANDAUER} {_KALAKI_PAPER}",
)
_HADOOP_CARD: Final = DataCard(
    title="Hadoop as event sequences (parsed by Landauer et al.)",
    origin=f"{_AIT} (from https://github.com/logpai/loghub, Hadoop)",
    licence="GPL-3.0; lines must not be committed",
    label_quality="One label per application, given to each of its containers, most of which ran as usual.",
    known_leaks=(
        "83 % of the sessions are anomalous: calling all of them anomalous scores F1 .906, so only AUROC is given. "
        "Containers of one application resemble each other; no application is in both parts. At least six labels are "
        "doubted (https://github.com/logpai/loghub/issues/56); they are used as published."
    ),
    citation=f"{_LANDAUER} Lin et al. Log Clustering Based Problem Identification for Online Services. ICSE 2016.",
)
_EARLY: Final = 500
_HADOOP: Final = tuple(
    f"ait_sequences/hadoop_loghub/hadoop_{name}"
    for name in (
        "train",
        "test_normal",
        "test_abnormal_machine_down",
        "test_abnormal_network_disconnection",
        "test_abnormal_disk_full",
    )
)
_OPENSTACK: Final = tuple(
    f"ait_sequences/openstack_parisakalaki/openstack_{name}" for name in ("train", "test_normal", "test_abnormal")
)
_INSTANCE: Final = re.compile(r"\[instance: ([0-9a-f-]{36})\]")


def hdfs(data: Path, limits: Limits) -> LabelledSet:
    """HDFS blocks in time order; the sessions that begin in the later half are judged."""
    try:
        import polars as pl
    except ImportError:
        raise InputError("set 'hdfs' is a parquet file; to read it: pip install 'logmeta[eval]'") from None
    try:
        events, labels = pl.read_parquet(data / _EVENTS), pl.read_parquet(data / _SEQUENCES)
        kept = smallest_hashes(labels["seq_id"].to_list(), limits.limit_sessions)
        wanted = labels.filter(pl.col("seq_id").is_in(kept)).select("seq_id", "anomaly")
        joined = events.join(wanted, on="seq_id", how="inner", maintain_order="left").sort(
            "m_timestamp", maintain_order=True
        )
        rows = joined.select(pl.concat_str(_PARTS, separator=" "), "seq_id", "m_timestamp", "anomaly").rows()
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{data / _EVENTS} or the block labels beside it cannot be read: {error}") from None
    lines = [
        LabelledLine(text, block, time.replace(tzinfo=UTC).timestamp(), int(anomaly))
        for text, block, time, anomaly in rows
    ]
    return in_time("hdfs", "hdfs", _HDFS_CARD, lines, _sampled(len(kept), labels.height))


def in_time(name: str, family: str, card: DataCard, lines: Sequence[LabelledLine], note: str) -> LabelledSet:
    """A set of sessions split at the point in time where the later half of them begins."""
    ordinary, test, late = split_in_time(lines)
    split = (
        "Test is the later half of the sessions by first line; ordinary is every session that ended before test "
        f"begins, anomalous ones included. {late:,} lines of sessions that went on are left out."
    )
    noted = replace(card, notes=f"{split} {note}".strip())
    return LabelledSet(name=name, family=family, unit="session", card=noted, ordinary=ordinary, test=test)


def _sampled(kept: int, of: int) -> str:
    return "" if kept == of else f"{kept:,} of {of:,} sessions were sampled by a hash of their names."


def kalaki(data: Path, limits: Limits) -> LabelledSet:
    """Nova lines that name a labelled instance, in the order of the log, which is time order."""
    log, table_path = (data / name for name in _KALAKI)
    labels = {row.cells["instance"]: whole(row, "label") for row in table(table_path, ["instance", "label"])}
    kept = smallest_hashes(labels, limits.limit_sessions)
    lines, dropped = [], 0
    for text in lines_of(log):
        found = _INSTANCE.search(text)
        if found is None or found[1] not in labels:
            dropped += 1
        elif found[1] in kept:
            lines.append(LabelledLine(text.strip(), found[1], label=labels[found[1]]))
    note = f"{dropped:,} lines that name no labelled instance are left out. {_sampled(len(kept), len(labels))}"
    return in_time("kalaki", "openstack", _KALAKI_CARD, lines, note)


def _sequences(data: Path, name: str, templates: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Sessions of one file: their name, and the template of each of their events (event n is template line n)."""
    for number, line in enumerate(lines_of(data / name), start=1):
        session, _, events = line.partition(",")
        try:
            numbers = [int(event) for event in events.split()]
        except ValueError:
            raise InputError(f"{data / name} line {number}: events must be numbers, got {events[:40]!r}") from None
        if not all(1 <= n <= len(templates) for n in numbers):
            raise InputError(f"{data / name} line {number}: an event number is not in 1-{len(templates)}")
        yield session, [templates[n - 1] for n in numbers]


def _labelled(sessions: Sequence[tuple[str, list[str]]], label: int) -> list[LabelledLine]:
    return [LabelledLine(text, name, label=label) for name, texts in sessions for text in texts]


def kalaki_sequences(data: Path, limits: Limits) -> LabelledSet:
    """Instances as template sequences; ordinary is the train file and the first normal sessions of the test file."""
    templates = list(lines_of(data / "ait_sequences/templates/OpenStack_templates.csv"))
    train, normal, abnormal = (list(_sequences(data, name, templates)) for name in _OPENSTACK)
    early = min(_EARLY, len(normal) // 2)
    later = [*normal[early:], *abnormal]
    kept = smallest_hashes((name for name, _ in later), limits.limit_sessions)
    test = [
        *_labelled([s for s in normal[early:] if s[0] in kept], NORMAL),
        *_labelled([s for s in abnormal if s[0] in kept], ANOMALOUS),
    ]
    notes = (
        f"Ordinary is openstack_train ({len(train)} sessions) and the first {early} of openstack_test_normal; "
        f"test is the rest of it and openstack_test_abnormal. {_sampled(len(kept), len(later))}"
    )
    return LabelledSet(
        name="kalaki_sequences",
        family="openstack",
        unit="session",
        card=replace(_SEQUENCES_CARD, notes=notes.strip()),
        ordinary=_labelled([*train, *normal[:early]], NORMAL),
        test=test,
    )


def hadoop(data: Path, limits: Limits) -> LabelledSet:
    """Containers as template sequences; ordinary is the earlier half of the normal applications, whole."""
    templates = list(lines_of(data / "ait_sequences/templates/Hadoop_templates.csv"))
    train, normal, *broken = (list(_sequences(data, name, templates)) for name in _HADOOP)
    healthy = sorted([*train, *normal])
    applications = list(dict.fromkeys(_application(name) for name, _ in healthy))
    early = set(applications[: len(applications) // 2])
    later = [s for s in healthy if _application(s[0]) not in early]
    abnormal = [session for sessions in broken for session in sessions]
    kept = smallest_hashes((name for name, _ in [*later, *abnormal]), limits.limit_sessions)
    sampled = _sampled(len(kept), len(later) + len(abnormal))
    notes = (
        f"The train file is too small and shares applications with the test files, so both are pooled: ordinary is "
        f"every container of the first {len(early)} of {len(applications)} normal applications (their numbers count "
        f"up in time), test the other normal containers and all abnormal ones. {sampled}"
    )
    return LabelledSet(
        name="hadoop",
        family="hadoop",
        unit="session",
        card=replace(_HADOOP_CARD, notes=notes.strip()),
        ordinary=_labelled([s for s in healthy if _application(s[0]) in early], NORMAL),
        test=[
            *_labelled([s for s in later if s[0] in kept], NORMAL),
            *_labelled([s for s in abnormal if s[0] in kept], ANOMALOUS),
        ],
        only_auroc=True,
    )


def _application(container: str) -> str:
    return container.partition("/")[0]


ENTRIES: Final = (
    Entry("hdfs", "hdfs", "session", ((_EVENTS, _SEQUENCES),), _HDFS_CARD, hdfs),
    Entry("kalaki", "openstack", "session", (_KALAKI,), _KALAKI_CARD, kalaki),
    Entry(
        "kalaki_sequences",
        "openstack",
        "session",
        ((*_OPENSTACK, "ait_sequences/templates/OpenStack_templates.csv"),),
        _SEQUENCES_CARD,
        kalaki_sequences,
    ),
    Entry(
        "hadoop",
        "hadoop",
        "session",
        ((*_HADOOP, "ait_sequences/templates/Hadoop_templates.csv"),),
        _HADOOP_CARD,
        hadoop,
    ),
)
