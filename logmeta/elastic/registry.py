"""A registry that several scorers share: an Elasticsearch index holds the truth, a folder here mirrors it.

Scoring reads the folder only, so it goes on when Elasticsearch is down. Publishing and deciding go to the index
first and are refused when somebody else was faster (the source's document is written only as it was read).

One document per source (`kind: source`: current version, what is published and where it comes from, what an operator
decided) and one per file of a version (`kind: file`, base64 in `data`). Files are written before the source's document
names them, and deleted after it no longer does.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import orjson
from elasticsearch import ApiError, ConflictError, Elasticsearch, NotFoundError
from elasticsearch.helpers import scan

from logmeta.atomic import write_text
from logmeta.elastic.client import Address, backend_errors, connect
from logmeta.errors import ArtifactError, BackendError, UnreachableError
from logmeta.lineage import KEEP_VERSIONS, MOST_ENTRIES, VersionInfo, Why, expendable, write_info
from logmeta.records import JsonValue
from logmeta.registry import ANY, Registry, Standing, SupersededError, source_folder

if TYPE_CHECKING:
    from logmeta.detector import Detector

logger = logging.getLogger(__name__)

INDEX: Final = "logmeta-registry"
ATTEMPTS: Final = 5
MAX_WANTED: Final = 1_000
MAPPINGS: Final[dict[str, JsonValue]] = {
    "dynamic": False,
    "properties": {"kind": {"type": "keyword"}, "source": {"type": "keyword"}},
}


@dataclass(frozen=True, slots=True)
class Published:
    """Where a version's files are: each has the id `PREFIX:NAME`. The prefix is never used twice."""

    prefix: str
    files: tuple[str, ...]

    def ids(self) -> list[str]:
        return [f"{self.prefix}:{name}" for name in self.files]


@dataclass(frozen=True, slots=True)
class Entry:
    """A source's document. `revision` counts its changes; `read_as` is what it must still be when written again."""

    source: str
    current: str | None = None
    versions: dict[str, Published] = field(default_factory=dict)
    lineage: dict[str, VersionInfo] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)
    revision: int = 0
    read_as: dict[str, Any] = field(default_factory=lambda: {"op_type": "create"})

    @property
    def next_version(self) -> str:
        return str(1 + max(map(int, {*self.versions, *self.lineage}), default=0))

    def with_version(self, info: VersionInfo, published: Published, *, waiting: bool) -> Entry:
        """After a publication: the new version is current, or waits for approval."""
        version = info.version
        return replace(
            self,
            current=self.current if waiting else version,
            versions={**self.versions, version: published},
            lineage=dict([*self.lineage.items(), (version, info)][-MOST_ENTRIES:]),
            standing=self.standing.after(version if waiting else None),
        )

    def pruned(self, keep: int) -> Entry:
        """Without the versions that need not be kept."""
        held = (self.current, self.standing.waiting, self.standing.shadow)
        gone = expendable(sorted(self.versions, key=int), keep=keep, held=held)
        return replace(self, versions={version: p for version, p in self.versions.items() if version not in gone})

    def to_document(self) -> dict[str, JsonValue]:
        return {
            "kind": "source",
            "source": self.source,
            "current": self.current,
            "versions": {version: asdict(published) for version, published in self.versions.items()},
            "lineage": {version: info.to_dict() for version, info in self.lineage.items()},
            "standing": self.standing.to_dict(),
            "revision": self.revision + 1,
        }

    @classmethod
    def of(cls, hit: dict[str, Any]) -> Entry:
        """From a document as a get or a search returns it."""
        kept = hit["_source"]
        read_as = {f"if_{name}": hit.get(f"_{name}") for name in ("seq_no", "primary_term")}
        versions = {version: Published(p["prefix"], tuple(p["files"])) for version, p in kept["versions"].items()}
        lineage = {version: VersionInfo.from_dict(fields) for version, fields in kept.get("lineage", {}).items()}
        standing = Standing.from_dict(kept["standing"])
        return cls(kept["source"], kept["current"], versions, lineage, standing, kept["revision"], read_as)


class SharedRegistry(Registry):
    """Versions and decisions in an index, mirrored below `root`; `sync` brings the mirror up to date."""

    def __init__(self, root: Path, address: Address, *, index: str = INDEX, keep: int = KEEP_VERSIONS) -> None:
        super().__init__(root, keep=keep)
        self._address, self._index = address, index
        self._client: Elasticsearch = connect(address)
        self._wanted: set[tuple[str, str]] = set()
        self._lock = Lock()

    def sync(self) -> int:
        """Bring folder and index together; returns how many sources changed here. Raises BackendError.

        What only this folder has is published: so a scorer's own folder becomes a shared registry's first content.
        """
        with self._lock, backend_errors(self._address):
            self._make_index()
            entries = list(self._entries())
            changed = sum([self._follow(entry) for entry in entries])
            self._fetch_wanted({entry.source: entry for entry in entries})
            for source in set(self.sources()) - {entry.source for entry in entries}:
                self._offer(source)
        return changed

    def resolve(self, source: str, pin: str | None) -> str | None:
        """As in a folder; a pinned version that is not mirrored yet comes with the next `sync`."""
        found = super().resolve(source, pin)
        if found is None and pin is not None and len(self._wanted) < MAX_WANTED:
            self._wanted.add((source, pin))
        return found

    def publish(
        self,
        detector: Detector,
        *,
        instead_of: str | None = ANY,
        waiting: bool = False,
        why: Why = "onboarded",
        by: str | None = None,
    ) -> str:
        """As in a folder, and for every scorer.

        Raises:
            SupersededError: another version than `instead_of` is current now; the folder has it by then.
            BackendError: Elasticsearch does not answer or refuses.
        """
        with self._lock, backend_errors(self._address):
            for _ in range(ATTEMPTS):
                entry = self._expected(detector.source)
                self._check_entry(entry, instead_of)
                info = VersionInfo.of(detector, entry.next_version, parent=entry.current, why=why, by=by)
                if self._publish(detector, entry, info, waiting=waiting):
                    return info.version
        raise self._restless(detector.source)

    def decide(
        self,
        source: str,
        *,
        current: str | None = None,
        instead_of: str | None = ANY,
        base: str | None = None,
        **changes: Any,
    ) -> Standing:
        """As in a folder, and for every scorer. Raises what it does there, or BackendError."""
        with self._lock, backend_errors(self._address):
            for _ in range(ATTEMPTS):
                entry = self._expected(source)
                self._check_entry(entry, instead_of)
                for version in filter(None, (current, changes.get("shadow"))):
                    self._check_published(entry, version, base)
                standing = replace(entry.standing, **changes).using(current)
                if self._write(replace(entry, current=current or entry.current, standing=standing)):
                    self._take_over(self._entry(source))
                    return standing
        raise self._restless(source)

    def versions(self, source: str) -> list[str]:
        """Every published version as of the last `sync`, mirrored here or not."""
        return sorted({*super().versions(source), *self._mirrored(source).get("versions", ())}, key=int)

    def _make_index(self) -> None:
        if self._client.indices.exists(index=self._index):
            return
        settings = {"index.hidden": True, "index.number_of_shards": 1, "index.auto_expand_replicas": "0-1"}
        try:
            self._client.indices.create(index=self._index, mappings=MAPPINGS, settings=settings)
        except ApiError as error:
            if "resource_already_exists" not in str(error):
                raise

    def _entries(self) -> Iterator[Entry]:
        query = {"query": {"term": {"kind": "source"}}, "seq_no_primary_term": True}
        return map(Entry.of, scan(self._client, index=self._index, query=query, size=500))

    def _entry(self, source: str) -> Entry:
        try:
            return Entry.of(self._client.get(index=self._index, id=_source_id(source)).body)
        except NotFoundError:
            return Entry(source)

    def _expected(self, source: str) -> Entry:
        """The source's document as it should be there. Raises UnreachableError when the index has lost it."""
        entry = self._entry(source)
        if entry.revision == 0 and self._mirrored(source).get("revision", 0):
            raise UnreachableError(
                f"{self._index} has lost source {source!r} (was it deleted?); the next look at it, within seconds, "
                f"puts the current version there again: try again then"
            )
        return entry

    def _write(self, entry: Entry) -> bool:
        """False when the source's document is not any more as it was read."""
        try:
            self._client.index(
                index=self._index, id=_source_id(entry.source), document=entry.to_document(), **entry.read_as
            )
        except ConflictError:
            return False
        return True

    def _check_entry(self, entry: Entry, instead_of: str | None) -> None:
        if instead_of not in (ANY, entry.current):
            self._take_over(entry)
            raise SupersededError(f"source {entry.source!r} is at version {entry.current} by now, not {instead_of}")

    def _check_published(self, entry: Entry, version: str, base: str | None) -> None:
        """Bring a version here and verify it; the source's document is not changed before."""
        if version not in entry.versions:
            raise self._no_version(entry.source, version)
        self._fetch(entry, version)
        self.check(entry.source, version, base=base)

    def _publish(self, detector: Detector, entry: Entry, info: VersionInfo, *, waiting: bool) -> bool:
        """Save, and write files and document. False when somebody else was faster: nothing is left then."""
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.root) as scratch:
            saved = Path(scratch) / "detector"
            replace(detector, version=info.version).save_pretrained(saved)
            published = self._upload(saved, entry.source, info.version)
        after = entry.with_version(info, published, waiting=waiting).pruned(self.keep)
        if not self._write(after):
            self._delete(published)
            return False
        for version in entry.versions.keys() - after.versions.keys():
            self._delete(entry.versions[version])
        self._take_over(self._entry(entry.source))
        return True

    def _upload(self, saved: Path, source: str, version: str) -> Published:
        prefix = f"file:{source_folder(source)}:{version}:{secrets.token_hex(8)}"
        published = Published(prefix, tuple(path.name for path in sorted(saved.iterdir())))
        for identity, name in zip(published.ids(), published.files, strict=True):
            data = base64.b64encode((saved / name).read_bytes()).decode()
            fields = {"kind": "file", "source": source, "version": version, "name": name, "data": data}
            self._client.index(index=self._index, id=identity, document=fields)
        return published

    def _delete(self, published: Published) -> None:
        for identity in published.ids():
            with contextlib.suppress(NotFoundError):
                self._client.delete(index=self._index, id=identity)

    def _offer(self, source: str) -> None:
        """Publish what is here of a source that the index does not know, or no longer: a new or a deleted one."""
        entry, here = self._entry(source), Registry.versions(self, source)  # a search may not see the entry yet
        if entry.revision or not here:
            return
        published = {version: self._upload(self._folder(source) / version, source, version) for version in here}
        lineage = {info.version: info for info in self.lineage(source)}
        offered = replace(
            entry,
            current=self.current(source),
            versions=published,
            lineage=lineage,
            standing=self.standing(source),
            revision=self._lost_at(source),
        )
        if self._write(offered):
            self._take_over(self._entry(source))
        else:
            for files in published.values():
                self._delete(files)

    def _lost_at(self, source: str) -> int:
        """Where the revisions of a source go on that the index has lost: beyond what any scorer has seen of it."""
        return int(time.time()) if self._mirrored(source).get("revision", 0) else 0

    def _follow(self, entry: Entry) -> bool:
        """As `_take_over`; a source whose files are missing keeps what it has here, and holds no other source up."""
        try:
            return self._take_over(entry)
        except ArtifactError as error:
            logger.error("source %r stays as it is here: %s", entry.source, error)
            return False

    def _take_over(self, entry: Entry) -> bool:
        """Bring a source's folder to what its document says, unless it has been there already."""
        if entry.revision <= self._mirrored(entry.source).get("revision", 0):
            return False
        for version in filter(None, (entry.current, entry.standing.waiting, entry.standing.shadow)):
            self._fetch(entry, version)
        told = {info.version: replace(info, kept=True) for info in self.lineage(entry.source)}
        for info in [info for info in entry.lineage.values() if told.get(info.version) != info]:
            write_info(self._folder(entry.source), info)
        self._write_standing(entry.source, entry.standing)
        if entry.current is not None:
            write_text(self._folder(entry.source) / "current", entry.current)
        versions = sorted(entry.versions, key=int)
        self._note(entry.source, revision=entry.revision, versions=versions)
        for version in set(Registry.versions(self, entry.source)) & entry.lineage.keys() - entry.versions.keys():
            self._remove(entry.source, version)
        return True

    def _fetch(self, entry: Entry, version: str) -> None:
        """A version's files into the folder, unless they are there. Raises ArtifactError when some are missing."""
        published, folder = entry.versions[version], self._folder(entry.source)
        here = self._mirrored(entry.source).get("here", {})
        if here.get(version) == published.prefix and (folder / version).is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
            self._download(published, Path(scratch) / "detector")
            if (folder / version).exists():  # a version of the same number, from before the registry was shared
                (folder / version).rename(Path(scratch) / "before")
            (Path(scratch) / "detector").rename(folder / version)
        self._note(entry.source, here={**here, version: published.prefix})

    def _download(self, published: Published, target: Path) -> None:
        target.mkdir()
        for hit in self._client.mget(index=self._index, ids=published.ids())["docs"]:
            if not hit.get("found"):
                raise ArtifactError(
                    f"{hit['_id']} is missing from {self._index}; roll back, or onboard the source again"
                )
            (target / Path(hit["_source"]["name"]).name).write_bytes(base64.b64decode(hit["_source"]["data"]))

    def _fetch_wanted(self, entries: dict[str, Entry]) -> None:
        wanted, self._wanted = self._wanted, set()
        for source, version in wanted:
            if source in entries and version in entries[source].versions:
                self._fetch(entries[source], version)

    def _mirrored(self, source: str) -> dict[str, Any]:
        """What is known of the source's document: `revision`, `versions`, and which of them are `here`."""
        try:
            found: dict[str, Any] = orjson.loads((self._folder(source) / "shared.json").read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}
        return found

    def _note(self, source: str, **known: Any) -> None:
        write_text(self._folder(source) / "shared.json", orjson.dumps({**self._mirrored(source), **known}).decode())

    def _restless(self, source: str) -> BackendError:
        return BackendError(
            f"source {source!r} changed {ATTEMPTS} times while it was written to {self._index}; try again"
        )


def _source_id(source: str) -> str:
    return f"source:{source_folder(source)}"
