"""What is told to a webhook: an alarm, a source's drift, or how many more of them there were."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from logmeta.drift import Drift
from logmeta.elastic.verdicts import well_formed
from logmeta.privacy import redacted
from logmeta.records import JsonValue, ScoredLine

SEVERITIES: Final = ("warning", "minor", "major", "critical")  # as ScoredLine.severity, the least first
DRIFT_SEVERITY: Final = {"deploy": "warning", "incident": "major"}  # of the kinds of drift that are told at all
MAX_TEXT: Final = 1_000
MAX_NAME: Final = 200
_PAGERDUTY: Final = {"warning": "info", "minor": "warning", "major": "error", "critical": "critical"}
FIELDS: Final = (
    *("kind", "summary", "source", "stream", "severity", "pagerduty_severity", "at", "alarm_id", "message", "template"),
    *("template_id", "new_template", "score", "p_value", "provisional", "version", "reason", "reason_kind", "count"),
    *("sources", "dedup_key", "link"),
)


def sent_text(text: str, most: int) -> str:
    """A text of a log as it is sent, personal data masked, cut to a bound; each that leaves passes through here."""
    return sent_name(redacted(text[: 2 * most]), most)


def sent_name(name: str, most: int = MAX_NAME) -> str:
    """The name of a source or a stream as it is sent, cut to a bound."""
    return well_formed(name if len(name) <= most else f"{name[: most - 1]}…")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. Those of the same source and `alike` within a while are one; `told` is what only this one tells.

    `count` is how many alarms or changes it stands for, `sources` of how many sources they are.
    """

    kind: str
    source: str
    severity: str
    text: str
    alike: str
    dedup_key: str
    at: str
    count: int = 1
    sources: int = 1
    repeats: bool = False
    told: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """Its place among the severities, 0 for the least."""
        return SEVERITIES.index(self.severity)

    @property
    def summary(self) -> str:
        """The notice in one line."""
        if not self.repeats:
            return self.text
        return f"{self.count} more like this since the last message: {self.text}"

    def fields(self) -> dict[str, JsonValue]:
        """The value of each placeholder; None for what this notice does not have."""
        own: dict[str, JsonValue] = {
            "kind": self.kind,
            "summary": self.summary,
            "source": sent_name(self.source),
            "severity": self.severity,
            "pagerduty_severity": _PAGERDUTY[self.severity],
            "at": self.at,
            "count": self.count,
            "sources": self.sources,
            "dedup_key": self.dedup_key,
        }
        return dict.fromkeys(FIELDS) | dict(self.told) | own


def alarm_notice(line: ScoredLine, *, console: str | None = None) -> Notice:
    """What the first line of an alarm says; its texts are cut to a bound."""
    top = line.reasons[0] if line.reasons else None
    alarm_id = line.alarm_id or ""
    return Notice(
        kind="alarm",
        source=line.source,
        severity=line.severity,
        text=f"{sent_name(line.source)}: {_one_line(line.message)}",
        alike=line.template_id,
        dedup_key=alarm_id,
        at=_now(),
        told={
            "alarm_id": alarm_id,
            "stream": None if line.stream is None else sent_name(line.stream),
            "message": sent_text(line.message, MAX_TEXT),
            "template": sent_text(line.template, MAX_TEXT),
            "template_id": line.template_id,
            "new_template": line.new_template,
            "score": line.score,
            "p_value": line.p_value,
            "provisional": line.provisional,
            "version": line.model.version,
            "reason": None if top is None else sent_text(top.text, MAX_TEXT),
            "reason_kind": None if top is None else top.kind,
            "link": None if console is None else f"{console}/#/alarm/{alarm_id}",
        },
    )


def drift_notice(source: str, drift: Drift, *, console: str | None = None) -> Notice:
    """What a source turned into, for a kind in DRIFT_SEVERITY."""
    evidence = sent_text("; ".join(drift.evidence), MAX_TEXT)
    return Notice(
        kind=f"drift_{drift.kind}",
        source=source,
        severity=DRIFT_SEVERITY[drift.kind],
        text=f"{sent_name(source)} looks like {_A[drift.kind]}: {_one_line(evidence)}",
        alike=f"drift {drift.kind}",
        dedup_key=_key("drift", drift.kind, source),
        at=_now(),
        told={"reason": evidence, "reason_kind": "drift", "link": console},
    )


def more_notice(count: int, sources: int, severity: str, *, why: str, console: str | None = None) -> Notice:
    """One message for the many that were not sent by themselves."""
    alarms, of = ("alarm" if count == 1 else "alarms"), ("source" if sources == 1 else "sources")
    text = f"{count} more {alarms} of {sources} {of} ({why})"
    told: dict[str, JsonValue] = {"reason": why, "reason_kind": "more", "link": console}
    return Notice("more", "logmeta", severity, text, "more", "logmeta-more", _now(), count, sources, told=told)


_A: Final = {"deploy": "a deploy", "incident": "an incident"}


def _one_line(text: str) -> str:
    return sent_text(" ".join(text.split()), MAX_NAME)


def _key(*parts: str) -> str:
    return hashlib.blake2s("\0".join(parts).encode(errors="replace"), digest_size=8).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
