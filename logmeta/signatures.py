"""Failure signatures: the few things that a program says only when something broke, whatever the program.

A line that says one of them is anomalous by itself: no context, no burst and no window has to confirm it. A kind that a
source's own ordinary lines say is not used there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

RAISE: Final = 20.0  # raw-score units, beyond what any alarm level asks
_CACHED: Final = 10_000
_PATTERNS: Final = {
    "killed": (
        r"(?:terminated|killed) by signal|exited on signal|exit signal|signal (?:\d+|<NUM>):? ?\(?(?:killed|abort|segm)"
        r"|\bSIG(?:SEGV|ABRT|BUS|ILL|FPE|KILL)\b"
    ),
    "memory_fault": (
        r"segmentation fault|segfault|core dumped|general protection fault|double free|stack smashing|\bbus error\b"
    ),
    "out_of_memory": r"out of memory|OutOfMemoryError|oom.?kill|cannot allocate memory|memory exhausted",
    "panic": r"\bpanic\b|kernel BUG|\bfatal error\b|\bunrecoverable\b",
    "corruption": (
        r"\bcorrupted\b|\bis corrupt\b|corruption (?:detected|found)|checksum (?:mismatch|verification failed)"
        r"|(?<!no )data loss"
    ),
    "storage": r"no space left on device|disk (?:is )?full|read-only file system|input/output error",
    "crash": r"\bcrashed\b|was not properly shut ?down|unclean shutdown|automatic recovery in progress",
    "deadlock": r"deadlock (?:found|detected)|split.?brain",
    "exhausted": r"too many open files|lost quorum|quorum (?:is )?lost|certificate (?:has )?expired",
}
_KINDS: Final = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()}


@lru_cache(maxsize=_CACHED)
def signatures_of(template: str) -> frozenset[str]:
    """Kinds of failure that a template says of itself."""
    return frozenset(kind for kind, pattern in _KINDS.items() if pattern.search(template))


def signature_at(text: str) -> int | None:
    """Where a text first says a failure signature, None when it says none."""
    return min((found.start() for pattern in _KINDS.values() if (found := pattern.search(text))), default=None)


def unusual_signatures(templates: Iterable[str]) -> frozenset[str]:
    """Kinds that none of a source's ordinary templates says."""
    return frozenset(_KINDS).difference(*map(signatures_of, templates))
