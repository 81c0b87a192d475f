"""The catalogue of labelled sets: `load("hdfs", data)` gives a LabelledSet. Nothing is ever downloaded.

The other systems of the loghub_2k sampler carry no labels, so they are no sets here.
"""

from __future__ import annotations

import difflib
import lzma
import tarfile
import zlib
from pathlib import Path
from typing import Final

from logmeta.datasets import live, loghub, openstack, sessions, trainticket
from logmeta.datasets.entry import DEFAULT, Entry, Limits
from logmeta.datasets.expected import EXPECTED
from logmeta.datasets.labelled import LabelledSet
from logmeta.datasets.live import is_live_folder, live_folder
from logmeta.datasets.own import OWN, is_own_folder, own, own_files
from logmeta.errors import InputError, UsageError

SETS: Final[dict[str, Entry]] = {
    entry.name: entry
    for entry in (
        *live.ENTRIES,
        *sessions.ENTRIES,
        *openstack.ENTRIES,
        *trainticket.ENTRIES,
        *loghub.ENTRIES,
        OWN,
    )
}


def names() -> list[str]:
    """Every set the catalogue knows, here or not."""
    return list(SETS)


def available(data: Path) -> list[str]:
    """The sets whose files lie in a data folder (or that the folder itself is: `fixture`, `own`)."""
    itself = {"fixture": is_live_folder, "own": is_own_folder}
    return [n for n, entry in SETS.items() if (itself[n](data) if n in itself else entry.layout(data) is not None)]


def load(name: str, data: Path, *, limits: Limits = DEFAULT, verify: bool = False) -> LabelledSet:
    """The named set from a data folder.

    With `verify`, lines, labels and spans must be the very ones that the figures in the docs were made with.
    """
    entry = SETS.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, SETS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"no set is called {name!r}; {hint}there are: {', '.join(SETS)}")
    try:
        found = entry(Path(data), limits)
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise InputError(
            f"set {name!r} in {data} cannot be read: {error}; get it again from {entry.card.origin}"
        ) from error
    if verify:
        _verify(found, limits)
    return found


def _verify(found: LabelledSet, limits: Limits) -> None:
    wanted = EXPECTED.get(found.name)
    if wanted is None or limits != DEFAULT:
        why = "none is known" if wanted is None else "it is known for default limits only"
        raise InputError(f"set {found.name!r} has no hash to verify: {why}; load it with verify=False")
    if found.sha256 != wanted:
        raise InputError(
            f"set {found.name!r} has the hash {found.sha256}, the figures in the docs are for {wanted}; get the same "
            f"files from {found.card.origin}, or load with verify=False and publish the hash beside your own figures"
        )


__all__ = [
    "DEFAULT",
    "EXPECTED",
    "SETS",
    "Entry",
    "Limits",
    "available",
    "live_folder",
    "load",
    "names",
    "own",
    "own_files",
]
