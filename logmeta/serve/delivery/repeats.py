"""What was told already: an alarm once, and the same kind of line of a source once in a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from logmeta.serve.delivery.notice import Notice


@dataclass(slots=True)
class _Told:
    """A message that stands for those alike until a time; `more` came since, `last` is the latest of them."""

    until: float
    rank: int
    dedup_key: str
    more: int = 0
    last: Notice | None = None


class Repeats:
    """Remembers up to `max_alike` kinds of message for `window_s` each, and the latest `max_told` alarms."""

    def __init__(self, *, window_s: float, max_alike: int, max_told: int) -> None:
        self._window_s, self._max_alike, self._max_told = window_s, max_alike, max_told
        self._alike: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_told(self, notice: Notice) -> bool:
        """Whether this very alarm came before; from now on it has."""
        if notice.kind != "alarm":
            return False
        key = notice.source, notice.dedup_key
        before = key in self._told
        self._told[key] = None
        self._told.move_to_end(key)
        if len(self._told) > self._max_told:
            self._told.popitem(last=False)
        return before

    def is_alike(self, notice: Notice, now: float) -> bool:
        """Whether a message like this one, as severe at least, went out lately; then it is counted for later."""
        known = self._alike.get((notice.source, notice.alike))
        if known is None or notice.rank > known.rank:
            self._begin(notice, now, known)
            return False
        known.more, known.last = known.more + notice.count, notice
        return True

    def _begin(self, notice: Notice, now: float, known: _Told | None) -> None:
        told = _Told(now + self._window_s, notice.rank, known.dedup_key if known else notice.dedup_key)
        if known is not None:
            told.more, told.last = known.more, known.last
        self._alike[notice.source, notice.alike] = told
        self._alike.move_to_end((notice.source, notice.alike))

    def ended(self, now: float) -> Iterator[Notice]:
        """A message for each kind whose window is over, or that there is no room for, and that came again in it."""
        while self._alike:
            key, oldest = next(iter(self._alike.items()))
            if oldest.until > now and len(self._alike) <= self._max_alike:
                return
            del self._alike[key]
            if oldest.last is not None:
                yield self._again(key, oldest, now)

    def _again(self, key: tuple[str, str], told: _Told, now: float) -> Notice:
        """The message of how many more there were; as long as they come there is one such per window."""
        assert told.last is not None
        if told.until <= now:
            self._alike[key] = _Told(now + self._window_s, told.rank, told.dedup_key)
        return replace(told.last, count=told.more, repeats=True, dedup_key=told.dedup_key)
