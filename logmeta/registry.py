"""Versions of each source's detector in a folder; publishing and rolling back move a pointer.

`root/<source folder>/<version>/` holds what `Detector.save_pretrained` wrote; versions count 1, 2, 3 and every
scored line names the one that scored it. `root/<source folder>/current` names the version in use, `source` the
source in its own spelling, `standing.json` what an operator decided about it, and `lineage/<version>.json` where a
version comes from. Only the newest versions, and those in use, are kept.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import orjson

from logmeta.atomic import write_text
from logmeta.errors import ArtifactError, LogmetaError, UsageError
from logmeta.lineage import KEEP_VERSIONS, VersionInfo, Why, expendable, read_lineage, write_info
from logmeta.records import JsonValue

if TYPE_CHECKING:
    from logmeta.detector import Detector, MetaModel

ANY: Final = "any"
Response = Literal["notify", "recalibrate", "absorb", "relearn"]
RESPONSES: Final = get_args(Response)
MAX_SOURCE_BYTES = 512
MAX_FOLDER_CHARS = 120
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-.")
_VERSION = re.compile(r"[1-9][0-9]{0,9}")


def source_folder(source: str) -> str:
    """A folder name that is safe on every file system and differs for every source.

    Anything but a-z, 0-9, `_`, `-` and inner `.` becomes %XX, so neither `..` nor `/` nor a clash of
    upper and lower case can arise; a very long name ends in its hash.
    """
    raw = check_source(source).encode()
    name = "".join(chr(b) if b in _PLAIN and (i or b != ord(".")) else f"%{b:02X}" for i, b in enumerate(raw))
    if len(name) <= MAX_FOLDER_CHARS:
        return name
    return f"{name[:80]}%{hashlib.blake2s(raw, digest_size=16).hexdigest()}"


def check_source(source: str) -> str:
    """The source itself, when it can name one.

    Raises:
        UsageError: empty, longer than 512 bytes of UTF-8, or holding control characters.
    """
    size = len(source.encode(errors="replace"))
    if not source.strip() or size > MAX_SOURCE_BYTES or not source.isprintable():
        raise UsageError(
            f"a source is a printable name of 1 to {MAX_SOURCE_BYTES} bytes, got {size} bytes {source[:60]!r}; "
            f"name the log-producing system, such as 'payments'"
        )
    return source


class SupersededError(LogmetaError):
    """Somebody else published in the meantime: what was made from the version before is not wanted any more."""

    kind = "superseded"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands about a source beside its versions.

    `waiting` is a version that waits for approval, `shadow` one that is tried beside the current one, `pinned` keeps
    the current version from being replaced by anything that runs by itself, `disabled` stops scoring, `relearn` asks
    for a detector from the next lines, `response` is what is done about drift (None: as the scorer's settings say).
    `by` and `at` (ISO 8601) tell who decided last, and when.
    """

    waiting: str | None = None
    shadow: str | None = None
    approved: bool = False
    pinned: bool = False
    disabled: bool = False
    relearn: bool = False
    response: Response | None = None
    by: str | None = None
    at: str | None = None

    def after(self, waiting: str | None) -> Standing:
        """What stands after a publication: nobody asks for a new detector any more."""
        return replace(self, waiting=waiting, relearn=False)

    def using(self, current: str | None) -> Standing:
        """What stands when that version is in use: it is tried or waits no longer."""
        waiting, shadow = (None if version == current else version for version in (self.waiting, self.shadow))
        return replace(self, waiting=waiting, shadow=shadow)

    def to_dict(self) -> dict[str, JsonValue]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Standing:
        """What was written, with unknown keys left out: a later version of logmeta may know more."""
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields})


class Registry:
    """Every source's detector versions below one folder. Several processes may share it.

    `keep` is how many of a source's newest versions are kept beside those in use.
    """

    def __init__(self, root: Path, *, keep: int = KEEP_VERSIONS) -> None:
        self.root, self.keep = root, keep

    def sources(self) -> list[str]:
        """Every source with a published detector, in alphabetical order."""
        return sorted(path.read_text(encoding="utf-8") for path in self.root.glob("*/source"))

    def count(self) -> int:
        """How many sources there are, without reading them."""
        return sum(1 for entry in os.scandir(self.root) if entry.is_dir())

    def versions(self, source: str) -> list[str]:
        """Published versions of a source, oldest first; empty for an unknown source."""
        folder = self._folder(source)
        if not folder.is_dir():
            return []
        return sorted((p.name for p in folder.iterdir() if _VERSION.fullmatch(p.name)), key=int)

    def current(self, source: str) -> str | None:
        """The version in use, None for an unknown source."""
        try:
            return (self._folder(source) / "current").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def resolve(self, source: str, pin: str | None) -> str | None:
        """The pinned version, without a pin the current one; None if there is none."""
        if pin is None:
            return self.current(source)
        return pin if _VERSION.fullmatch(pin) and (self._folder(source) / pin).is_dir() else None

    def standing(self, source: str) -> Standing:
        """What an operator decided about a source. Raises ArtifactError when that cannot be read."""
        path = self._folder(source) / "standing.json"
        try:
            return Standing.from_dict(orjson.loads(path.read_bytes()))
        except FileNotFoundError:
            return Standing()
        except (orjson.JSONDecodeError, TypeError) as error:
            raise ArtifactError(f"{path} is damaged: {error}; remove it, then decide again") from error

    def lineage(self, source: str) -> tuple[VersionInfo, ...]:
        """Where every version comes from, oldest first; versions that are not kept any more are in it too."""
        return read_lineage(self._folder(source), self.versions(source))

    def publish(
        self,
        detector: Detector,
        *,
        instead_of: str | None = ANY,
        waiting: bool = False,
        why: Why = "onboarded",
        by: str | None = None,
    ) -> str:
        """Save a detector as its source's newest version and make it current; returns the version.

        With `waiting` it does not become current but waits for approval. `instead_of` is the version it was made
        to replace (None: the first one), `why` and `by` go into its lineage.

        Raises:
            SupersededError: another version than `instead_of` is current now.
        """
        folder = self._folder(detector.source)
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            self._check_current(detector.source, instead_of)
            write_text(folder / "source", detector.source)
            parent, version = self.current(detector.source), self._place(detector, folder)
            write_info(folder, VersionInfo.of(detector, version, parent=parent, why=why, by=by))
            if not waiting:
                write_text(folder / "current", version)
            standing = self.standing(detector.source)
            if (answered := standing.after(version if waiting else None)) != standing:
                self._write_standing(detector.source, answered)
            self._prune(detector.source)
        return version

    def decide(
        self,
        source: str,
        *,
        current: str | None = None,
        instead_of: str | None = ANY,
        base: str | None = None,
        **changes: Any,
    ) -> Standing:
        """Change what stands about a source and, with `current`, which version is in use. Returns what stands now.

        Args:
            source: its name.
            current: the version to use from now on; it is verified before anything changes.
            instead_of: the version that must be in use until then.
            base: digest of the base model at hand, which a version must have been made with.
            changes: fields of `Standing`.

        Raises:
            UsageError: no such version.
            ArtifactError: the version is damaged, of a later format, or made with another base model.
            SupersededError: another version than `instead_of` is current now.
        """
        for version in filter(None, (current, changes.get("shadow"))):
            self.check(source, version, base=base)
        self._folder(source).mkdir(parents=True, exist_ok=True)
        with _alone(self._folder(source)):
            self._check_current(source, instead_of)
            if current is not None:
                self.path(source, current)  # nobody has removed it since
            standing = replace(self.standing(source), **changes).using(current)
            self._write_standing(source, standing)
            if current is not None:
                write_text(self._folder(source) / "current", current)
        return standing

    def check(self, source: str, version: str, *, base: str | None = None) -> None:
        """Whether a version can be used (see `decide`). Raises UsageError or ArtifactError when it cannot."""
        from logmeta.artifact import check_folder  # keeps `import logmeta.registry` light

        if self.resolve(source, version) is None:
            raise self._no_version(source, version)
        check_folder(self.path(source, version), base=base)

    def approve(self, source: str, **changes: Any) -> Standing:
        """Make the version that waits for approval the current one, and mark the source as approved.

        Raises:
            UsageError: the source has no version at all.
        """
        waiting = self.standing(source).waiting
        if waiting is None and self.current(source) is None:
            raise UsageError(f"source {source!r} has no version to approve; onboard it, or wait until it has learned")
        return self.decide(source, current=waiting, **{**changes, "waiting": None, "approved": True})

    def _no_version(self, source: str, version: str) -> UsageError:
        """What to raise when a version is asked for that is not there."""
        published = ", ".join(self.versions(source)) or "none"
        known = {info.version for info in self.lineage(source)}
        why = f"; version {version} is not kept any more, the newest {self.keep} are" if version in known else ""
        return UsageError(f"source {source!r} has no version {version!r}; published: {published}{why}")

    def _prune(self, source: str) -> None:
        """Remove what need not be kept of a source's versions."""
        standing = self.standing(source)
        held = (self.current(source), standing.waiting, standing.shadow)
        for version in expendable(self.versions(source), keep=self.keep, held=held):
            self._remove(source, version)

    def _remove(self, source: str, version: str) -> None:
        """Out of sight in one step, then away: nobody finds half a version."""
        folder = self._folder(source)
        with tempfile.TemporaryDirectory(prefix=".gone-", dir=folder, ignore_cleanup_errors=True) as away:
            shutil.move(folder / version, Path(away) / version)

    def _check_current(self, source: str, instead_of: str | None) -> None:
        current = self.current(source)
        if instead_of not in (ANY, current):
            raise SupersededError(f"source {source!r} is at version {current}, not {instead_of}; start from that one")

    def _write_standing(self, source: str, standing: Standing) -> None:
        folder = self._folder(source)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "source", source)
        write_text(folder / "standing.json", orjson.dumps(standing.to_dict(), option=orjson.OPT_INDENT_2).decode())

    def _place(self, detector: Detector, folder: Path) -> str:
        """Save under the next free number; another process may take a number first, then the one after is tried."""
        number = int((self.versions(detector.source) or ["0"])[-1]) + 1
        while True:
            with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
                saved = Path(scratch) / "detector"
                replace(detector, version=str(number)).save_pretrained(saved)
                if _moved(saved, folder / str(number)):
                    return str(number)
            number += 1

    def load(self, source: str, version: str | None = None, *, base: MetaModel | None = None) -> Detector:
        """The current detector of a source, or the pinned version of it.

        Raises:
            UsageError: the source or the version was never published here.
            ArtifactError: its folder is damaged, foreign or of a future format.
        """
        from logmeta.detector import Detector  # keeps `import logmeta.registry` free of torch

        return Detector.from_pretrained(self.path(source, version), base=base)

    def path(self, source: str, version: str | None = None) -> Path:
        """The folder of a version. Raises UsageError when it was never published, ArtifactError when it is gone."""
        found = self.resolve(source, version)
        if found is None:
            has = ", ".join(self.versions(source)) or "none"
            wanted = f"version {version!r}" if version else "a current version"
            raise UsageError(f"source {source!r} has no {wanted} in {self.root} (published: {has}); onboard it first")
        folder = self._folder(source) / found
        if not _VERSION.fullmatch(found) or not folder.is_dir():
            raise ArtifactError(
                f"{folder.parent / 'current'} points to {found!r}, which is not a version folder; "
                f"roll back to one of: {', '.join(self.versions(source)) or 'none, onboard the source again'}"
            )
        return folder

    def rollback(self, source: str, to: str | None = None, *, base: str | None = None) -> str:
        """Make an older version current again: the one that the current was made from, or the one named. Returns it.

        Raises:
            UsageError: there is nothing older, or no version of that name.
            ArtifactError: that version cannot be used (see `decide`); the current one stays.
        """
        target = to or self._before_current(source)
        if target is None:
            raise UsageError(
                f"source {source!r} has no older version to roll back to; "
                f"published: {', '.join(self.versions(source)) or 'none'}, current: {self.current(source)}"
            )
        self.decide(source, current=target, base=base)
        return target

    def _before_current(self, source: str) -> str | None:
        """The version that the current one was made from; when that is not kept, the newest that is older."""
        versions, current = self.versions(source), self.current(source)
        parent = next((info.parent for info in self.lineage(source) if info.version == current), None)
        older = versions[: versions.index(current)] if current in versions else versions
        return parent if parent in versions else next(iter(older[::-1]), None)

    def _folder(self, source: str) -> Path:
        return self.root / source_folder(source)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While nobody else publishes into this folder, in this process or another: what one replaces is what is there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # given back when it is closed, also by a process that is killed
        yield
    finally:
        os.close(handle)


def _moved(saved: Path, target: Path) -> bool:
    """False when the target was there already."""
    try:
        saved.rename(target)
    except OSError:
        if target.exists():
            return False
        raise
    return True
