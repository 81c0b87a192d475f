"""The leak checker: a run fails when a line, a template, a base model or a label is where it must not be."""

from __future__ import annotations

from collections.abc import Sequence

from logmeta.datasets.draws import Draw
from logmeta.datasets.labelled import ANOMALOUS, LabelledSet
from logmeta.errors import LogmetaError
from logmeta.parse import TemplateTree


class LeakError(LogmetaError):
    """Something that is judged on was known beforehand; figures from such a run would be worthless."""

    exit_code = 3


def check_draw(draw: Draw) -> None:
    """No support line is judged, no anomaly hides in the support unasked, no session lies on both sides.

    Raises:
        LeakError: one of them does.
    """
    data = draw.data
    strange = [i for i in draw.support if data.ordinary[i].label == ANOMALOUS]
    if strange:
        raise LeakError(f"{data.name}: support line {strange[0] + 1} is labelled anomalous; it was not to be hidden")
    taken = [-1 - i for i in (*draw.hidden, *draw.anomalies) if i < 0]
    judged = [i for i in taken if data.test[i].label is not None]
    if judged:
        raise LeakError(f"{data.name}: test line {judged[0] + 1} was shown to the methods and is judged too")
    if data.unit == "session":
        _check_sessions(draw)


def _check_sessions(draw: Draw) -> None:
    data = draw.data
    shown = {data.ordinary[i].stream for i in draw.support}
    both = shown & {line.stream for line in (*data.test, *data.control) if line.label is not None}
    if both:
        raise LeakError(f"{data.name}: session {sorted(map(str, both))[0]!r} is in the support and is judged too")


def check_frozen(tree: TemplateTree, before: Sequence[tuple[str, int]], support_lines: int, name: str) -> None:
    """The template tree holds what the support taught it, before scoring and after.

    Raises:
        LeakError: it grew, or holds more lines than the support has.
    """
    after = tree.snapshot()
    if list(before) != after:
        raise LeakError(f"{name}: the template tree changed while scoring ({len(before)} -> {len(after)} templates)")
    learned = sum(size for _, size in before)
    if learned > support_lines:
        raise LeakError(f"{name}: the template tree was mined from {learned} lines, the support has {support_lines}")


def seen(data: LabelledSet, systems: Sequence[str], family_of: dict[str, str]) -> list[str]:
    """Of the systems a base model was trained on, those that are the set's own or of its family."""
    return [s for s in systems if s == data.name or family_of.get(s, s) == data.family]


def check_base(data: LabelledSet, systems: Sequence[str], family_of: dict[str, str]) -> None:
    """The base model was trained without the set's system and without its family.

    Args:
        systems: names of the systems that the base model was trained on.
        family_of: family by system name, for the systems that are known.

    Raises:
        LeakError: the system or one of its family is among them.
    """
    known = seen(data, systems, family_of)
    if known:
        raise LeakError(
            f"{data.name}: its base model was trained on {', '.join(known)}; train one with --hold-out {data.name}"
        )
