"""Sets of loghub (https://github.com/logpai/loghub): BGL_2k from the sampler, the full downloads as they unpack."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

from logmeta.datasets.entry import Entry, Limits, smallest_hashes
from logmeta.datasets.files import NO_TIME, iso_seconds, lines_of, merged, stored, table
from logmeta.datasets.labelled import ANOMALOUS, NORMAL, DataCard, LabelledLine, LabelledSet
from logmeta.datasets.sessions import LOGHUB_TERMS, XU, in_time
from logmeta.errors import InputError

FULL_SESSIONS: Final = 50_000
FULL_LINES: Final = 2_000_000
_ZHU: Final = "Zhu, He, He, Liu, Lyu. Loghub: A Large Collection of System Log Datasets. ISSRE 2023."
_OLINER: Final = f"Oliner, Stearley. What Supercomputers Say: A Study of Five System Logs. DSN 2007. {_ZHU}"
_SAMPLER, _BGL_2K = "loghub_2k/loghub_2k.tar.xz", "loghub_2k/BGL/BGL_2k.log"
_MACHINES: Final = {
    "bgl": ("Blue Gene/L", "BGL/BGL.log"),
    "thunderbird": ("Thunderbird", "Thunderbird/Thunderbird.log"),
    "spirit": ("Spirit", "Spirit/spirit2"),
    "liberty": ("Liberty", "Liberty/liberty2"),
}
_HDFS: Final = (
    ("loghub/HDFS_v1/HDFS.log", "loghub/HDFS_v1/preprocessed/anomaly_label.csv"),
    ("loghub/HDFS/HDFS.log", "loghub/HDFS/anomaly_label.csv"),
)
_OPENSTACK: Final = tuple(
    f"loghub/OpenStack/{name}"
    for name in ("openstack_normal1.log", "openstack_normal2.log", "openstack_abnormal.log", "anomaly_labels.txt")
)
_HADOOP: Final = "loghub/Hadoop/abnormal_label.txt"
_BLOCK: Final = re.compile(r"blk_-?\d+")
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_INSTANCE: Final = re.compile(rf"\[instance: ({_UUID})\]")
_FILE_NAME: Final = re.compile(r"^\S+\.log\S*\s+")
_SECTIONS: Final = ("normal", "machine down", "network disconnection", "disk full")
_APPLICATION: Final = re.compile(r"application_\d+_\d+")


def _alert_card(title: str, origin: str) -> DataCard:
    return DataCard(
        title=title,
        origin=origin,
        licence=LOGHUB_TERMS,
        label_quality="One alert tag per line, set by administrators' rules on its message: a matter of wording.",
        known_leaks=(
            "The first column is the label; it is taken off. As labels follow the wording, a list of alert messages "
            "solves the set, and alerts come in long bursts of one message."
        ),
        citation=_OLINER,
    )


_DOWNLOAD: Final = "https://github.com/logpai/loghub (Zenodo record 8196385)"
_CFDR: Final = "https://www.usenix.org/cfdr-data"
_BGL_2K_CARD: Final = _alert_card("Blue Gene/L, 2,000 spaced lines", "https://github.com/logpai/loghub (loghub_2k)")
_HDFS_CARD: Final = DataCard(
    title="HDFS, full download",
    origin=_DOWNLOAD,
    licence=LOGHUB_TERMS,
    label_quality="One label per block, made by hand-written rules on its events (Xu et al. 2009).",
    known_leaks="Easy, see `hdfs`. A line belongs to the first block that it names.",
    citation=XU,
)
_OPENSTACK_CARD: Final = DataCard(
    title="OpenStack, full download (Du et al.)",
    origin=_DOWNLOAD,
    licence=LOGHUB_TERMS,
    label_quality="One label per instance; only a handful are anomalous, and most of their lines look ordinary.",
    known_leaks=(
        "Each line starts with the name of the file it was rotated into, which tells the recordings apart; it is taken "
        "off. The three files are separate recordings, and their order in time is not given by their names."
    ),
    citation=f"Du, Li, Zheng, Srikumar. DeepLog. CCS 2017. {_ZHU}",
)
_HADOOP_CARD: Final = DataCard(
    title="Hadoop, full download",
    origin=_DOWNLOAD,
    licence=LOGHUB_TERMS,
    label_quality="One label per application; https://github.com/logpai/loghub/issues/56 doubts at least six.",
    known_leaks="Four of five applications are anomalous: calling all of them anomalous scores high, so AUROC only.",
    citation=f"Lin et al. Log Clustering Based Problem Identification for Online Service Systems. ICSE 2016. {_ZHU}",
)


def alert_lines(lines: Iterable[str]) -> Iterator[LabelledLine]:
    """Lines whose first column is "-" (normal) or an alert tag; the column is a label and never part of the text."""
    for line in lines:
        tag, _, text = line.partition(" ")
        if text:
            yield LabelledLine(text, None, _epoch(text), NORMAL if tag == "-" else ANOMALOUS)


def _epoch(text: str) -> float:
    head = text.partition(" ")[0]
    return float(head) if head.isdecimal() else NO_TIME


def _halves(name: str, card: DataCard, lines: Sequence[LabelledLine], note: str) -> LabelledSet:
    half = len(lines) // 2
    split = f"Ordinary is the first {half:,} lines (anomalous ones included), test the {len(lines) - half:,} after."
    return LabelledSet(
        name=name,
        family="supercomputers",
        unit="line",
        card=replace(card, notes=f"{split} {note}".strip()),
        ordinary=lines[:half],
        test=lines[half:],
    )


def bgl_2k(data: Path, limits: Limits) -> LabelledSet:
    """The first 1,000 lines of BGL_2k are ordinary, the last 1,000 are judged."""
    texts = next((lines for name, lines in sampled_logs(data) if name == _BGL_2K), None)
    if texts is None:
        raise InputError(f"{data / _SAMPLER} holds no {_BGL_2K}; get it again from {_BGL_2K_CARD.origin}")
    return _halves("bgl_2k", _BGL_2K_CARD, list(alert_lines(texts)), "")


def sampled_logs(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Every log of loghub_2k's sampler, by its path in the archive; none where the archive is not there."""
    if not (data / _SAMPLER).exists():
        return
    with tarfile.open(data / _SAMPLER, "r|xz") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".log") else None
            if file is not None:
                content = file.read().decode(errors="replace").replace("\r", "")
                yield member.name, content.removesuffix("\n").split("\n")


def _supercomputer(system: str) -> Entry:
    title, file = _MACHINES[system]
    name, origin = f"{system}_full", _DOWNLOAD if system in ("bgl", "thunderbird") else _CFDR
    card = _alert_card(f"{title}, full download", origin)

    def read(data: Path, limits: Limits) -> LabelledSet:
        most = limits.max_lines or FULL_LINES
        lines = list(islice(alert_lines(lines_of(data / "loghub" / file)), most))
        return _halves(name, card, lines, f"At most the first {most:,} lines of the log are read.")

    return Entry(name, "supercomputers", "line", ((f"loghub/{file}",),), card, read)


@lru_cache(maxsize=4096)
def _hdfs_seconds(stamp: str) -> float:
    """Epoch seconds of "081109 203530" (read as UTC)."""
    try:
        return datetime.strptime(stamp, "%y%m%d %H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return NO_TIME


def hdfs_full(data: Path, limits: Limits) -> LabelledSet:
    """Blocks of HDFS.log in time order, by default 50,000 of them."""
    log, label_file = next(
        (data / a, data / b) for a, b in _HDFS if stored(data / a) is not None and stored(data / b) is not None
    )
    labels = _block_labels(label_file)
    kept = smallest_hashes(labels, limits.limit_sessions or FULL_SESSIONS)
    lines, strange = [], 0
    for text in islice(lines_of(log), limits.max_lines):
        found = _BLOCK.search(text)
        if found is None or found[0] not in labels:
            strange += 1
        elif found[0] in kept:
            lines.append(LabelledLine(text, found[0], _hdfs_seconds(text[:13]), labels[found[0]]))
    note = (
        f"{len(kept):,} of {len(labels):,} blocks were sampled by a hash of their names; {strange:,} lines without a "
        f"labelled block are left out."
    )
    return in_time("hdfs_full", "hdfs", _HDFS_CARD, lines, note)


def _block_labels(path: Path) -> dict[str, int]:
    labels = {"Normal": NORMAL, "Anomaly": ANOMALOUS}
    rows = table(path, ["BlockId", "Label"])
    strange = next((row for row in rows if row.cells["Label"] not in labels), None)
    if strange is not None:
        raise InputError(f"{strange.place}: Label is {strange.cells['Label']!r}; needed is Normal or Anomaly")
    return {row.cells["BlockId"]: labels[row.cells["Label"]] for row in rows}


def openstack_full(data: Path, limits: Limits) -> LabelledSet:
    """Instances of openstack_normal1 are ordinary; those of the other two logs are judged."""
    wrong = set(re.findall(_UUID, "\n".join(lines_of(data / _OPENSTACK[3]))))
    if not wrong:
        raise InputError(f"{data / _OPENSTACK[3]} names no instance; one id per line is needed")
    logs = [list(_instance_lines(data / name, wrong)) for name in _OPENSTACK[:3]]
    ordinary, *later = ([line for line in log if line.stream is not None] for log in logs)
    known = {line.stream for line in ordinary}
    test = [line for log in later for line in log if line.stream not in known]
    dropped = sum(map(len, logs)) - len(ordinary) - len(test)
    notes = (
        f"Ordinary is openstack_normal1.log, test openstack_normal2.log and then openstack_abnormal.log. {dropped:,} "
        f"lines that name no instance (or, in test, one of the ordinary part) are left out."
    )
    card = replace(_OPENSTACK_CARD, notes=notes)
    return LabelledSet("openstack_full", "openstack", "session", card, ordinary, test)


def _instance_lines(path: Path, wrong: set[str]) -> Iterator[LabelledLine]:
    for line in lines_of(path):
        text = _FILE_NAME.sub("", line, count=1)
        found = _INSTANCE.search(text)
        stream = found[1] if found else None
        seconds = iso_seconds(text)
        yield LabelledLine(text, stream, NO_TIME if seconds is None else seconds, int(stream in wrong))


def hadoop_full(data: Path, limits: Limits) -> LabelledSet:
    """Applications, containers merged by time; ordinary is the earlier half of the normal ones."""
    labels = application_labels(data / _HADOOP)
    folder = (data / _HADOOP).parent
    runs = [_application(folder / name, int(kind != "normal")) for name, kind in labels.items()]
    found = sorted((run for run in runs if run), key=lambda run: (run[0].seconds, str(run[0].stream)))
    normal = [run for run in found if run[0].label == NORMAL]
    early = normal[: len(normal) // 2]
    end = max((run[-1].seconds for run in early), default=0.0)
    later = [run for run in found if run[0].seconds > end]
    notes = (
        f"Ordinary is the earlier half ({len(early)}) of the normal applications; judged are the {len(later)} that "
        f"start after the last of them ended. {len(found) - len(early) - len(later)} that start before and "
        f"{len(labels) - len(found)} labelled ones without logs are left out."
    )
    return LabelledSet(
        name="hadoop_full",
        family="hadoop",
        unit="session",
        card=replace(_HADOOP_CARD, notes=notes),
        ordinary=[line for run in early for line in run],
        test=[line for run in later for line in run],
        only_auroc=True,
    )


def _application(folder: Path, label: int) -> list[LabelledLine]:
    logs = sorted(folder.glob("container_*.log"))
    return [LabelledLine(text, folder.name, seconds, label) for seconds, text in merged(map(lines_of, logs))]


def application_labels(path: Path) -> dict[str, str]:
    """Which section of abnormal_label.txt each application stands in (Normal, Machine down, ...)."""
    section, found = "", dict[str, str]()
    for number, line in enumerate(lines_of(path), start=1):
        heading = line.strip(" #*:\t").lower()
        section = heading if heading in _SECTIONS else section
        for application in _APPLICATION.findall(line):
            if not section:
                raise InputError(f"{path} line {number}: {application} comes before any of {', '.join(_SECTIONS)}")
            found[application] = section
    if not found:
        raise InputError(f"{path} names no application_*; sections {', '.join(_SECTIONS)} are needed")
    return found


ENTRIES: Final = (
    Entry("bgl_2k", "supercomputers", "line", ((_SAMPLER,),), _BGL_2K_CARD, bgl_2k),
    Entry("hdfs_full", "hdfs", "session", _HDFS, _HDFS_CARD, hdfs_full),
    *(_supercomputer(system) for system in _MACHINES),
    Entry("openstack_full", "openstack", "session", (_OPENSTACK,), _OPENSTACK_CARD, openstack_full),
    Entry("hadoop_full", "hadoop", "session", ((_HADOOP,),), _HADOOP_CARD, hadoop_full),
)
