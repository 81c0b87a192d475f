"""Counts of what became of documents, and how a person reads them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from logmeta.elastic.bulk import Item, Write, refusal
from logmeta.errors import BackendError


@dataclass(slots=True)
class Tally:
    """What became of the documents. `without_line` had nothing to score, `not_annotated` no room for our fields."""

    read: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    without_line: int = 0
    not_annotated: int = 0
    done_before: int = 0
    alarms: int = 0
    created: int = 0
    existed: int = 0
    replaced: int = 0
    changed_meanwhile: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def count(self, write: Write, item: Item) -> None:
        """Note what Elasticsearch made of a write."""
        reason = refusal(item)
        is_new = "create" in write.action
        if item["status"] == 409 and is_new:
            self.existed += 1
        elif item["status"] == 409:
            self.changed_meanwhile += 1
        elif reason is not None:
            self.refused[reason] += 1
        elif is_new:
            self.created += 1
        else:
            self.replaced += 1

    def words(self) -> str:
        """One line: what was read, what became of it, what was written."""
        parts = {
            **{status: self.statuses[status] for status in ("scored", "late", "learning", "skipped")},
            "without a line": self.without_line,
            "without room for logmeta": self.not_annotated,
            "annotated before": self.done_before,
            "alarms": self.alarms,
        }
        writes = {
            "created": self.created,
            "there already": self.existed,
            "replaced": self.replaced,
            "changed meanwhile": self.changed_meanwhile,
            "refused": self.refused.total(),
        }
        return f"{self.read:,} documents read{_listed(parts)}; written{_listed(writes) or ': nothing'}"

    def require_all(self) -> None:
        """Raises BackendError with what Elasticsearch refused, and how often."""
        if self.refused:
            reasons = "; ".join(f"{count} x {reason}" for reason, count in self.refused.most_common(3))
            raise BackendError(
                f"Elasticsearch refused {self.refused.total()} documents: {reasons}; correct that and run this again "
                f"with a new --checkpoint, documents already there are kept"
            )


def _listed(counts: dict[str, int]) -> str:
    found = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f": {found}" if found else ""
