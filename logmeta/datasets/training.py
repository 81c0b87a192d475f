"""What a base model is trained on: systems with labelled incidents, and every log for the sequence model, unlabelled.

Systems whose family is held out are in neither.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Final

from logmeta.datasets import SETS, available, load
from logmeta.datasets.entry import Limits
from logmeta.datasets.labelled import LabelledLine, LabelledSet
from logmeta.datasets.live import is_live_folder, live_folder
from logmeta.datasets.loghub import sampled_logs
from logmeta.errors import InputError

PUBLIC: Final = ("hdfs", "kalaki", "kalaki_sequences", "nova", "cinder", "trainticket")
MOST_LINES: Final = 40_000
_PUBLIC_FAMILIES: Final = ("hadoop", "hdfs", "openstack", "supercomputers", "trainticket")
_LIMITS: Final = Limits(max_runs=12, limit_sessions=2_500, max_lines=MOST_LINES)
_ALERTS: Final = ("bgl", "thunderbird")  # their lines begin with the label
_FAMILIES: Final = {"openssh": "sshd"}  # where loghub's name is not our family's


def training_sets(folders: Sequence[Path], hold_out: Sequence[str] = ()) -> list[LabelledSet]:
    """Systems of data folders, in name order, without those named and all of their families.

    A data folder holds a folder per system, itself or below `live` (docs/training.md).

    Raises:
        InputError: there is none, one comes twice, or a name to hold out is not known.
    """
    found = [data for folder in folders for data in _systems(folder)]
    if not found:
        raise InputError(
            f"no labelled log in {', '.join(map(str, folders))}; --data takes the folder described in docs/training.md"
        )
    names = [data.name for data in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"system {twice[0]!r} lies in more than one of the data folders; give it once")
    unknown = sorted(set(hold_out) - {*names, *SETS})
    if unknown:
        raise InputError(f"no system is called {unknown[0]!r}, so it cannot be held out; there are: {', '.join(names)}")
    families = families_of(hold_out)
    kept = [data for data in found if data.name not in hold_out and data.family not in families]
    return sorted(kept, key=lambda data: data.name)


def public_families() -> list[tuple[str, ...]]:
    """Names of the catalogue's public sets, those of a family together."""
    families: dict[str, list[str]] = {}
    for entry in SETS.values():
        if entry.family in _PUBLIC_FAMILIES:
            families.setdefault(entry.family, []).append(entry.name)
    return [tuple(names) for _, names in sorted(families.items())]


def families_of(names: Sequence[str]) -> set[str]:
    """Families of the named systems; a system that the catalogue does not know is a family of its own."""
    return {SETS[name].family if name in SETS else name for name in names}


def _systems(folder: Path) -> Iterator[LabelledSet]:
    own = folder / "live" if (folder / "live").is_dir() else folder
    for system in sorted(own.iterdir()) if own.is_dir() else ():
        if is_live_folder(system):
            yield live_folder(system, name=system.name)


def unlabelled_logs(folder: Path, families: Container[str]) -> Iterator[tuple[str, Sequence[LabelledLine]]]:
    """Public logs of a data folder, at most MOST_LINES of each; none of the given families, no label read.

    A log is named as the set that it is, a sample of loghub by its family.
    """
    for name in available(folder):
        if name in PUBLIC and SETS[name].family not in families:
            data = load(name, folder, limits=_LIMITS)
            yield name, [*data.ordinary, *data.test][:MOST_LINES]
    for path, lines in sampled_logs(folder):
        system = path.split("/")[-2].lower()
        family = _FAMILIES.get(system, system)
        if system not in _ALERTS and family not in families:
            yield family, [LabelledLine(line) for line in lines]
