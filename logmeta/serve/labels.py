"""What people said of lines, read from a source's current version without the rest of its detector."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from logmeta.artifact import TEMPLATES, read_labels
from logmeta.errors import ArtifactError, UsageError
from logmeta.feedback import Label
from logmeta.records import template_id
from logmeta.registry import Registry
from logmeta.serve.documents import Result


def labels_of(registry: Registry, source: str) -> tuple[Label, ...]:
    """The labels of a source's current version, in order. Raises UsageError or ArtifactError when there is none."""
    folder = registry.path(source)
    try:
        changed = (folder / TEMPLATES).stat().st_mtime_ns
    except OSError as error:
        raise ArtifactError(f"{folder / TEMPLATES} cannot be read: {error.strerror}; roll the source back") from error
    return _read(folder, changed)


def words_on(registry: Registry, source: str) -> dict[str, str]:
    """`normal` or `anomaly` by template id; the last word counts. Empty where the labels cannot be read."""
    try:
        labels = labels_of(registry, source)
    except (UsageError, ArtifactError):
        return {}
    return {template_id(label.template): "anomaly" if label.anomalous else "normal" for label in labels}


def label_fields(label: Label, number: int) -> Result:
    """A label as the API shows it; `number` counts from 1, as in `logmeta feedback --list`."""
    return {"id": label.id, "number": number, **label.to_dict()}


@lru_cache(maxsize=1_024)
def _read(folder: Path, changed: int) -> tuple[Label, ...]:
    """A version's folder never changes, but a shared registry may put another in its place."""
    return read_labels(folder)
