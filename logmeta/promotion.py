"""`logmeta versions`, `promote` and `rollback`: the versions of a source in a folder of detectors."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from logmeta.config import BASE_MODEL
from logmeta.detector import Detector
from logmeta.errors import UsageError
from logmeta.lineage import VersionInfo
from logmeta.meta.base import PRETRAINED, digest_of
from logmeta.registry import Registry
from logmeta.regression import check_candidate


def rolled_back(folder: Path, source: str, to: str | None) -> str:
    """Put an older version into use; what to say.

    Raises:
        UsageError: there is none to go back to.
        ArtifactError: it cannot be used; the one in use stays.
    """
    registry = Registry(folder)
    before = registry.current(source)
    version = registry.rollback(source, to, base=digest_of(Path(os.environ.get(BASE_MODEL) or PRETRAINED)))
    return f"{source}: version {version} instead of {before}"


def promoted(folder: Path, candidate: Detector, *, force: bool, by: str | None) -> str:
    """Publish a candidate and use it; what to say.

    Raises:
        RegressionError: it falls behind the version in use, and is not forced.
        SupersededError: another version came into use meanwhile.
    """
    registry, source = Registry(folder), candidate.source
    current = registry.current(source)
    if current is not None and not force:
        check_candidate(registry.load(source, current), candidate)
    version = registry.publish(candidate, instead_of=current, why="promoted", by=by or getpass.getuser())
    return f"{source}: version {version} instead of {current or 'none'}"


def known_versions(folder: Path, source: str) -> tuple[tuple[VersionInfo, ...], str | None]:
    """Where a source's versions come from, and which is in use. Raises UsageError when nothing is known of it."""
    registry = Registry(folder)
    lineage = registry.lineage(source)
    if not lineage:
        raise UsageError(f"source {source!r} has no version in {folder}; onboard it, or correct --detectors")
    return lineage, registry.current(source)
