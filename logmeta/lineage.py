"""Where a source's versions come from, and which of them are kept."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from logmeta.atomic import write_text
from logmeta.records import JsonValue

if TYPE_CHECKING:
    from logmeta.detector import Detector

Why = Literal[
    "onboarded", "relearned", "refreshed", "feedback", "feedback undone", "absorbed", "promoted", "unknown"
]  # a roll-back makes no version: it moves a pointer
FOLDER: Final = "lineage"
KEEP_VERSIONS: Final = 20
MOST_ENTRIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What is known of a version beside its files: it outlives them (`kept` is False then).

    `parent` is the version that was current when it was made, `made_at` is ISO 8601, `by` the person who made it (None:
    the scorer by itself). What a version made before lineage was kept cannot tell is None.
    """

    version: str
    parent: str | None = None
    made_at: str | None = None
    why: str = "unknown"
    by: str | None = None
    lines_used: int | None = None
    labels: int | None = None
    kept: bool = True

    @classmethod
    def of(cls, detector: Detector, version: str, *, parent: str | None, why: Why, by: str | None) -> VersionInfo:
        """A version that is being made now."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(version, parent, now, why, by, detector.lines_used, len(detector.labels))

    def to_dict(self) -> dict[str, JsonValue]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> VersionInfo:
        """What was written, with unknown keys left out: a later version of logmeta may know more."""
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields})


def expendable(versions: Sequence[str], *, keep: int, held: Collection[str | None]) -> list[str]:
    """Versions (oldest first) that need not be kept: all but the newest `keep` and those that are in use."""
    return [version for version in versions[: max(0, len(versions) - keep)] if version not in held]


def read_lineage(folder: Path, versions: Sequence[str]) -> tuple[VersionInfo, ...]:
    """Where versions of a source come from, oldest first: of all that its folder tells, and of those it has.

    `versions` are those whose files are kept.
    """
    infos = {version: _recalled(folder / version / "manifest.json") for version in versions}
    infos |= {path.stem: _read(path) for path in _files(folder)}
    return tuple(replace(infos[version], kept=version in versions) for version in sorted(infos, key=int))


def write_info(folder: Path, info: VersionInfo) -> None:
    """Tell where a version comes from; the latest thousand are remembered."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    write_text(folder / FOLDER / f"{info.version}.json", orjson.dumps(info.to_dict()).decode())
    for path in _files(folder)[:-MOST_ENTRIES]:
        path.unlink(missing_ok=True)


def print_lineage(lineage: Sequence[VersionInfo], current: str | None, *, as_json: bool) -> None:
    """To stdout: as JSON oldest first, or as a table newest first in which the version in use has a star."""
    out = sys.stdout
    if as_json:
        out.write(orjson.dumps([info.to_dict() for info in lineage], option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("version", "made from", "at", "why", "by", "lines", "labels", "kept", box=None)
    for info in reversed(lineage):
        at, kept = (info.made_at or "")[:16], "yes" if info.kept else "no"
        cells = (info.parent, at, info.why, info.by, info.lines_used, info.labels, kept)
        shown = ("-" if cell is None or cell == "" else str(cell) for cell in cells)
        table.add_row(info.version + "*" * (info.version == current), *shown)
    Console(file=out, width=None if out.isatty() else 140).print(table)


def _files(folder: Path) -> list[Path]:
    return sorted((p for p in (folder / FOLDER).glob("*.json") if p.stem.isdecimal()), key=lambda path: int(path.stem))


def _read(path: Path) -> VersionInfo:
    """What a file says; a damaged one costs what it said, not the version."""
    try:
        return VersionInfo.from_dict({**orjson.loads(path.read_bytes()), "version": path.stem})
    except (OSError, orjson.JSONDecodeError, TypeError):
        return VersionInfo(path.stem)


def _recalled(manifest: Path) -> VersionInfo:
    """What the files of a version tell that was made before lineage was kept."""
    try:
        made, fields = manifest.stat().st_mtime, orjson.loads(manifest.read_bytes())
        made_at = datetime.fromtimestamp(made, UTC).isoformat(timespec="seconds")
        return VersionInfo(manifest.parent.name, made_at=made_at, lines_used=fields.get("lines_used"))
    except (OSError, orjson.JSONDecodeError, AttributeError):
        return VersionInfo(manifest.parent.name)
