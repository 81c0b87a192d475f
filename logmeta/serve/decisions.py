"""What an operator decides about a source: `PATCH /v1/detectors/SOURCE`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from logmeta.elastic.ecs import iso
from logmeta.errors import ArtifactError, InputError, UsageError
from logmeta.records import JsonValue
from logmeta.registry import RESPONSES, Registry, Standing
from logmeta.regression import check_candidate
from logmeta.serve.documents import read_json, refuse_unknown
from logmeta.serve.journal.book import Event

if TYPE_CHECKING:
    from logmeta.detector import MetaModel

FLAGS = ("approved", "pinned", "disabled", "relearn")
ORDERS = ("promote", "force")
KEYS = (*FLAGS, *ORDERS, "current", "shadow", "response", "by")


@dataclass(frozen=True, slots=True)
class Decision:
    """What changes: flags by name, the version to make current, and who decided.

    `shadow` holds the version to try beside the current one, and None to try none; it is empty where that stays as it
    is. `promote` puts the version into use that is tried, or waits; with `force` without asking the guard.
    """

    flags: dict[str, bool]
    current: str | None = None
    by: str | None = None
    shadow: tuple[str | None, ...] = ()
    promote: bool = False
    force: bool = False
    response: str | None = None

    @property
    def needs_model(self) -> bool:
        """Whether a version must be verified or tried before."""
        return self.promote or self.current is not None or any(self.shadow)


def parse_decision(body: bytes) -> Decision:
    """What the body decides. Raises InputError when it decides nothing, or something else than flags and a version."""
    parsed = read_json(body)
    refuse_unknown(parsed, allowed=KEYS)
    flags = {name: parsed[name] for name in (*FLAGS, *ORDERS) if name in parsed}
    wrong = next((name for name, value in flags.items() if not isinstance(value, bool)), None)
    if wrong is not None:
        raise InputError(f"{wrong!r} must be true or false, got {str(flags[wrong])[:60]!r}")
    current, by, shadow = parsed.get("current"), parsed.get("by"), parsed.get("shadow")
    if not all(value is None or isinstance(value, str) for value in (current, by, shadow)):
        raise InputError("'current' and 'shadow' must be versions such as \"3\" and 'by' a name, as strings")
    promote, force = (flags.pop(name, False) is True for name in ORDERS)
    response = parsed.get("response")
    if response is not None and response not in RESPONSES:
        raise InputError(f"'response' must be one of {', '.join(RESPONSES)}, got {str(response)[:60]!r}")
    if not (flags or promote or response or "shadow" in parsed) and current is None:
        raise InputError(f"nothing to decide; give one of {', '.join(KEYS[:-1])}")
    if promote and (current is not None or "shadow" in parsed):
        raise InputError("'promote' puts the shadow into use; give it without 'current' and 'shadow'")
    tried = (_text(shadow),) if "shadow" in parsed else ()
    decided = {name: value is True for name, value in flags.items()}
    return Decision(decided, _text(current), _text(by), tried, promote, force, _text(response))


def decide(registry: Registry, source: str, decision: Decision, base: MetaModel | None = None) -> Standing:
    """Put a decision into force, for every scorer that shares the registry. `base` is needed where `needs_model`.

    Raises:
        UsageError: there is no such version, it cannot be used, nothing to approve or to promote, or the source is
            pinned and should learn anew.
        RegressionError: the version to promote falls behind the current one.
        SupersededError: somebody else changed the version in use meanwhile.
        BackendError: the shared registry does not answer.
    """
    standing = registry.standing(source)
    changes: dict[str, Any] = {**decision.flags, "by": decision.by, "at": iso(datetime.now(UTC).timestamp())}
    if changes.get("relearn") and changes.get("pinned", standing.pinned):
        raise UsageError(f"source {source!r} is pinned to version {registry.current(source)}; unpin it first")
    if decision.response:
        changes["response"] = decision.response
    if decision.shadow:
        changes["shadow"] = _shadow(registry, source, *decision.shadow)
    try:
        if decision.promote:
            return _promote(registry, source, changes, _needed(base), force=decision.force)
        digest = base.base.digest if base else None
        if changes.get("approved"):
            return registry.approve(source, base=digest, **changes)
        return registry.decide(source, current=decision.current, base=digest, **changes)
    except ArtifactError as error:
        raise UsageError(f"nothing was changed: {error}") from error


def _shadow(registry: Registry, source: str, version: str | None) -> str | None:
    if version is not None and version == registry.current(source):
        raise UsageError(f"version {version} of source {source!r} is in use; try another one beside it")
    return version


def _promote(registry: Registry, source: str, changes: dict[str, Any], base: MetaModel, *, force: bool) -> Standing:
    """Put the version into use that is tried beside the current one, or waits."""
    standing, current = registry.standing(source), registry.current(source)
    candidate = standing.shadow or standing.waiting
    if candidate is None:
        raise UsageError(f"no version of source {source!r} is tried or waits; give one as 'shadow' first")
    if current is not None and not force:
        check_candidate(registry.load(source, current, base=base), registry.load(source, candidate, base=base))
    digest = base.base.digest
    return registry.decide(source, current=candidate, instead_of=current, base=digest, **changes)


def _needed(base: MetaModel | None) -> MetaModel:
    if base is None:
        raise AssertionError("who decides on versions brings the base model")
    return base


def event_of(source: str, decision: Decision) -> Event:
    """A decision for the journal."""
    details: dict[str, JsonValue] = {**decision.flags, **({"current": decision.current} if decision.current else {})}
    details |= {"response": decision.response} if decision.response else {}
    details |= {"shadow": decision.shadow[0]} if decision.shadow else {}
    details |= {"promote": True, "force": decision.force} if decision.promote else {}
    words = ", ".join(f"{name}: {str(value).lower()}" for name, value in details.items())
    return Event("decision", source, words, decision.by, details)


def _text(value: object) -> str | None:
    return str(value)[:200] if value is not None else None
