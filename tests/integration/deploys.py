"""A made-up deploy: the same words renamed in every line, as a release does."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from logmeta.header import split_header
from logmeta.records import LogRecord

WORD = re.compile(r"[A-Za-z]{4,}")
COMMON, RENAMED = 40, 12


def message(text: str) -> str:
    return text[split_header(text).end :]


def new_version(lines: Sequence[LogRecord], seed: int) -> Callable[[LogRecord], LogRecord]:
    """Renames twelve of the forty commonest words of the lines' messages."""
    words = Counter(word for line in lines for word in WORD.findall(message(line.text)))
    common = [word for word, _ in words.most_common(COMMON)]
    renamed = {word: f"re{word}ed" for word in random.Random(seed).sample(common, min(RENAMED, len(common)))}

    def renew(line: LogRecord) -> LogRecord:
        at = split_header(line.text).end
        return replace(line, text=line.text[:at] + WORD.sub(lambda m: renamed.get(m[0], m[0]), line.text[at:]))

    return renew
