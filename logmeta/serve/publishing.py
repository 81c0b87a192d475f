"""A person's change to a source's detector: a new version of it, whoever else publishes at the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias

from logmeta.errors import BackendError
from logmeta.lineage import Why
from logmeta.registry import SupersededError
from logmeta.regression import falls_behind
from logmeta.serve.answers import UnknownError

if TYPE_CHECKING:
    from logmeta.detector import Detector
    from logmeta.serve.sources import Sources

ATTEMPTS: Final = 5
_one_at_a_time: Final = Lock()  # in this process; others are met by the version they publish instead of
Change: TypeAlias = "Callable[[Detector], Detector]"


@dataclass(frozen=True, slots=True)
class Changed:
    """A version a person made of another. `falls_behind` is what the guard says of it: it is taken all the same."""

    before: Detector
    after: Detector
    falls_behind: str | None


def publish_change(sources: Sources, source: str, change: Change, *, why: Why, by: str | None) -> Changed:
    """Publish what the change makes of the current detector; it is made again where another version came in between.

    Raises:
        UnknownError: the source has no version.
        SupersededError: somebody else was faster five times.
        BackendError: the registry cannot be written.
    """
    with _one_at_a_time:
        for _ in range(ATTEMPTS - 1):
            try:
                return _attempt(sources, source, change, why, by)
            except SupersededError:
                continue
        return _attempt(sources, source, change, why, by)


def _attempt(sources: Sources, source: str, change: Change, why: Why, by: str | None) -> Changed:
    registry = sources.registry
    if registry.current(source) is None:
        raise UnknownError("unknown_source", f"no detector of source {source!r}; see GET /v1/detectors")
    before, standing = sources.detector(source), registry.standing(source)
    after = change(before)
    try:
        version = registry.publish(after, instead_of=before.version, why=why, by=by)
        if standing.waiting or standing.relearn:  # a person's word on a line answers neither
            registry.decide(source, waiting=standing.waiting, relearn=standing.relearn)
    except OSError as error:
        raise BackendError(f"{registry.root} cannot be written: {error.strerror}; nothing was changed") from error
    sources.tell_published(source, version, f"{len(after.labels)} labels, {len(after.absorbed)} absorbed", why)
    return Changed(before, replace(after, version=version), falls_behind(before, after))
