"""Real servers run for this project, faults injected: normal.log, test.log, labels.csv in one folder per system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from logmeta.datasets.entry import Entry, Limits
from logmeta.datasets.files import Row, flag, line_number, lines_of, span, table, whole
from logmeta.datasets.labelled import ANOMALOUS, NORMAL, DataCard, Incident, LabelledLine, LabelledSet
from logmeta.errors import InputError

_TITLES: Final = {
    "apache": "Apache httpd with mod_wsgi",
    "celery": "Celery workers under supervisord",
    "kafka": "Apache Kafka (KRaft)",
    "microservices": "Three JSON microservices (pino, aiohttp, zap)",
    "mosquitto": "Eclipse Mosquitto",
    "nginx": "nginx before gunicorn",
    "openldap": "OpenLDAP slapd",
    "postgresql": "PostgreSQL",
    "rabbitmq": "RabbitMQ",
    "springboot": "Spring Boot",
    "sshd": "OpenSSH sshd",
    "zookeeper": "Apache ZooKeeper, three servers",
}
_LEAKS: Final = {
    "apache": "Tracebacks of the wiki quote its source, one line of which shows the switch that turns the bug on.",
    "celery": "Tracebacks quote the source lines that raise the injected error.",
    "kafka": "Restarts inside spans print about 1,000 ordinary start-up lines.",
    "postgresql": "Faults are injected by statements of role admin (app psql), which also does routine work.",
    "zookeeper": "After a restart a server repeats audit lines of earlier sessions, which is harmless.",
}
_ORIGIN: Final = "the labelled logs made for this project (folder live)"
_QUALITY: Final = (
    "Spans run from the injection to the end of recovery and hold ordinary traffic too. Lines are labelled "
    "anomalous only where the cause is certain (incomplete); other lines inside spans are not judged one by one. "
    "Routine work (reloads, planned restarts) counts as normal."
)
_WIDE: Final = "Spans are wide: at one alarm per 1,000 lines chance alone finds about a third of the incidents."
_FILES: Final = ("normal.log", "test.log", "labels.csv")


def _card(system: str) -> DataCard:
    return DataCard(
        title=_TITLES.get(system, system),
        origin=_ORIGIN,
        licence="Apache-2.0 (part of this project)",
        label_quality=_QUALITY,
        known_leaks=f"{_LEAKS.get(system, 'None known in the text.')} {_WIDE}",
        notes="Ordinary is normal.log, test is test.log, which was written after it.",
    )


def live_folder(path: Path, *, name: str | None = None, card: DataCard | None = None) -> LabelledSet:
    """The set in one folder; its family is the system that the folder names (meta.json, else its incident ids)."""
    texts = list(lines_of(path / "test.log"))
    rows = table(path / "labels.csv", ["incident_id", "first_line", "last_line"])
    incidents = tuple(_incident(row, len(texts)) for row in rows)
    excluded = tuple(span(row, len(texts)) for row in _optional(path / "excluded_spans.csv", "first_line", "last_line"))
    certain = {line_number(row, len(texts)) for row in _optional(path / "line_labels.csv", "line_no")}
    spans = [*((i.first, i.last) for i in incidents), *excluded]
    labels = line_labels(len(texts), spans, certain)
    meta = _meta(path)
    system = meta.get("system") or _system(rows) or path.resolve().name
    return LabelledSet(
        name=name or system,
        family=system,
        unit="line",
        card=card or _card(system),
        ordinary=[LabelledLine(text, label=NORMAL) for text in lines_of(path / "normal.log")],
        test=[LabelledLine(text, label=label) for text, label in zip(texts, labels, strict=True)],
        incidents=incidents,
        excluded=excluded,
        keyword=meta.get("keyword_list"),
    )


def line_labels(lines: int, spans: Iterable[tuple[int, int]], certain: Iterable[int]) -> Sequence[int | None]:
    """A label for each line: anomalous where certain, normal outside every span, not known elsewhere."""
    labels: list[int | None] = [NORMAL] * lines
    for first, last in spans:
        labels[first - 1 : last] = [None] * (last - first + 1)
    for number in certain:
        labels[number - 1] = ANOMALOUS
    return labels


def _incident(row: Row, lines: int) -> Incident:
    first, last = span(row, lines)
    symptom = whole(row, "first_symptom_line") if row.cells.get("first_symptom_line", "").strip() else None
    if symptom is not None and not first <= symptom <= last:
        raise InputError(f"{row.place}: first_symptom_line {symptom} does not lie in its span {first}-{last}")
    kind = row.cells.get("kind", "")
    return Incident(first, last, kind, flag(row, "keyword_free"), flag(row, "silent"), symptom)


def _optional(path: Path, *needed: str) -> list[Row]:
    return table(path, needed) if path.exists() else []


def _meta(folder: Path) -> dict[str, str]:
    path = folder / "meta.json"
    try:
        found = orjson.loads(path.read_bytes()) if path.exists() else {}
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is no JSON: {error}; mend it or take it away (it is optional)") from None
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _system(rows: Sequence[Row]) -> str:
    names = {re.sub(r"-\d+$", "", row.cells["incident_id"]) for row in rows}
    return names.pop() if len(names) == 1 else ""


def is_live_folder(path: Path) -> bool:
    """Whether a folder has the layout itself (and not a user's own labels file)."""
    labels = path / "labels.csv"
    return labels.is_file() and FIXTURE.layout(path) is not None and "incident_id" in next(lines_of(labels), "")


def _entry(system: str) -> Entry:
    def read(data: Path, limits: Limits) -> LabelledSet:
        return live_folder(data / "live" / system, name=system)

    files = tuple(f"live/{system}/{name}" for name in _FILES)
    return Entry(system, system, "line", (files,), _card(system), read)


_FIXTURE_CARD: Final = replace(
    _card("postgresql"),
    title="PostgreSQL, as shipped with the source",
    origin="fixtures/postgresql of this repository (give that folder as the data folder)",
    notes="Ordinary is the start of `postgresql`'s normal.log, test its whole test.log.",
)
FIXTURE: Final = Entry(
    "fixture",
    "postgresql",
    "line",
    (_FILES,),
    _FIXTURE_CARD,
    lambda data, _: live_folder(data, name="fixture", card=_FIXTURE_CARD),
)
ENTRIES: Final = (*(_entry(system) for system in _TITLES), FIXTURE)
