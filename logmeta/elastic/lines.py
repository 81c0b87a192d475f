"""Which releases of Elasticsearch the plugin serves, and by which of its jars."""

from __future__ import annotations

import re

from logmeta.errors import UsageError

TESTED = ("8.19.9", "9.5.3")
"""Releases on which every change is tested."""

Release = tuple[int, int, int]
_FIRST_OF_LINE: dict[str, Release] = {"8.19": (8, 19, 0), "9.1": (9, 1, 0), "9.4": (9, 4, 0)}
_SERVED = "8.19.x, and 9.1.0 or later 9.x"
_NO_90 = "its plugin API is neither 8.19's nor 9.1's, and no jar is built for it"


def line_of(version: str) -> str:
    """The API line that serves a release: its jar is compiled against the line's oldest one.

    Raises:
        UsageError: not a release's number, or a release that no line serves.
    """
    release = _release(version)
    if release[:2] == (9, 0):
        raise UsageError(f"Elasticsearch {version} is not served: {_NO_90}; upgrade to 9.1 or later")
    if release < (8, 19, 0) or (8, 20, 0) <= release < (9, 0, 0) or release >= (10, 0, 0):
        raise UsageError(
            f"no jar for Elasticsearch {version}, there are jars for {_SERVED}; upgrade Elasticsearch or logmeta"
        )
    return max((first, line) for line, first in _FIRST_OF_LINE.items() if first <= release)[1]


def _release(version: str) -> Release:
    found = re.fullmatch(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version, re.ASCII)
    if found is None:
        raise UsageError(
            f"{version!r} is no release of Elasticsearch; give all three numbers, such as {TESTED[-1]}: "
            f"a node refuses a plugin made for another one"
        )
    return int(found[1]), int(found[2]), int(found[3])
