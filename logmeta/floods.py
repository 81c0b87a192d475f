"""A flood of templates never seen before teaches nothing: what is known of a source when it begins counts again when
it is over.

Lines are judged by what came before them, so whoever floods a source with ever new templates would make news of any
kind usual. A format that the parser does not know looks the same; it never ends, and is judged by its own past.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from logmeta.meta.features import Precedent
from logmeta.window import Context, FloatArray

LATELY: Final = 100  # lines
_BEGINS: Final = 50  # of them are of templates that come for the first time
_ENDS: Final = 10
_UNNUMBERED: Final = 5_000


class Before(NamedTuple):
    """What was known of a source when a flood began: `carries` by stream, and how many `templates` had a number."""

    context: Context
    precedent: Precedent
    carries: dict[str | None, FloatArray]
    templates: int


@dataclass(slots=True)
class Flood:
    """Whether a source is flooded; `before` is what was known of it when that began."""

    before: Before | None = None
    news: int = 0  # of the last 100 lines, those of templates that came for the first time
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=LATELY))
    _unnumbered: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def is_first(self, template: str) -> bool:
        """Whether a template beyond those that are numbered comes for the first time (of the latest 5,000)."""
        known = template in self._unnumbered
        self._unnumbered[template] = None
        self._unnumbered.move_to_end(template)
        if len(self._unnumbered) > _UNNUMBERED:
            self._unnumbered.popitem(last=False)
        return not known

    def see(self, is_new: bool) -> None:
        """A line's template comes for the first time, or again."""
        if len(self._recent) == LATELY:
            self.news -= self._recent[0]
        self._recent.append(is_new)
        self.news += is_new

    @property
    def begins(self) -> bool:
        return self.before is None and self.news > _BEGINS

    @property
    def ends(self) -> bool:
        return self.before is not None and self.news < _ENDS
