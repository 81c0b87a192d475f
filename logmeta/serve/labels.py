"""What people said of lines, read from a source's current version without the rest of its detector."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from logmeta.artifact import TEMPLATES, read_words
from logmeta.errors import ArtifactError, UsageError
from logmeta.feedback import Absorbed, Label
from logmeta.records import template_id
from logmeta.registry import Registry
from logmeta.serve.documents import Result


def words_of(registry: Registry, source: str) -> tuple[tuple[Label, ...], tuple[Absorbed, ...]]:
    """The labels of a source's current version, in order, and what it absorbed.

    Raises:
        UsageError: there is no version.
        ArtifactError: it cannot be read.
    """
    folder = registry.path(source)
    try:
        changed = (folder / TEMPLATES).stat().st_mtime_ns
    except OSError as error:
        raise ArtifactError(f"{folder / TEMPLATES} cannot be read: {error.strerror}; roll the source back") from error
    return _read(folder, changed)


def words_on(registry: Registry, source: str) -> dict[str, str]:
    """`normal` or `anomaly` by template id; the last word counts. Empty where the labels cannot be read."""
    try:
        labels, _ = words_of(registry, source)
    except (UsageError, ArtifactError):
        return {}
    return {template_id(label.template): "anomaly" if label.anomalous else "normal" for label in labels}


def label_fields(label: Label, number: int) -> Result:
    """A label as the API shows it; `number` counts from 1, as in `logmeta feedback --list`."""
    return {"id": label.id, "number": number, **label.to_dict()}


def absorbed_fields(one: Absorbed) -> Result:
    """Something absorbed as the API shows it."""
    return {"id": one.id, **one.to_dict()}


@lru_cache(maxsize=1_024)
def _read(folder: Path, changed: int) -> tuple[tuple[Label, ...], tuple[Absorbed, ...]]:
    """A version's folder never changes, but a shared registry may put another in its place."""
    return read_words(folder)
