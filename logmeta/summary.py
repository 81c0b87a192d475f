"""What a person should know before trusting a detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from logmeta.calibrate import ASKED_SHARES
from logmeta.explain import SHOWN
from logmeta.records import JsonValue

if TYPE_CHECKING:
    from logmeta.detector import Detector

_SPREAD_OVER_S: Final = 60.0
_FAR_BEYOND: Final = 3.0
_MOST_SAID: Final = 3


def summary_of(detector: Detector) -> dict[str, JsonValue]:
    """What a person should know before trusting this detector."""
    return {
        "source": detector.source,
        "window": str(detector.window),
        "base": detector.base.name,
        "version": detector.version,
        "lines_used": detector.lines_used,
        "templates": len(detector.memory.templates),
        "calibration_lines": len(detector.calibration.scores),
        "smallest_p_value": detector.calibration.smallest_p,
        "alarm_budget_per_day": detector.budget.per_day,
        "lines_per_day": round(detector.level.lines_per_day),
        "alarm_level_p_value": detector.level.level,
        "achieved_shares": {f"{asked:g}": round(share, 4) for asked, share in detector.achieved.items()},
        "provisional": detector.provisional,
        "labels": len(detector.labels),
        "privacy": detector.memory.privacy,
        "absorbed": len(detector.absorbed),
        "adapted_net_trusted": detector.trusted,
        "warnings": list(warnings_of(detector)),
    }


def warnings_of(detector: Detector) -> Iterator[str]:
    """What falls short, each with the way out."""
    if detector.provisional:
        needed = int(np.ceil(1 / detector.level.level))
        yield (
            f"provisional: {len(detector.calibration.scores)} calibration lines reach p >= "
            f"{detector.calibration.smallest_p:.2g}, the budget of {detector.budget.per_day:g} alarms a day needs "
            f"{detector.level.level:.1g} (some {needed:,} lines); until then the alarm level is extrapolated"
        )
    if detector.level.assumed_rate:
        yield f"the lines carry no times: {detector.level.lines_per_day:,.0f} lines a day are assumed"
    elif detector.span_s < _SPREAD_OVER_S:
        yield (
            f"all support lines are from {detector.span_s:.0f} s: rates, routines and p-values may not hold at other "
            f"times; onboard from lines spread over a day"
        )
    asked = ASKED_SHARES[0]
    if (share := detector.achieved.get(asked, 0.0)) > _FAR_BEYOND * asked:
        yield (
            f"p-values do not hold over the support itself: of its later lines {share:.0%} lie where "
            f"{asked:.0%} were asked; onboard from lines spread over a day"
        )
    if detector.windows is not None and detector.windows.left_out:
        yield _left_out(detector, detector.windows.left_out)
    if not detector.trusted:
        yield (
            "adapting to the support made corrupted lines harder to tell from it; "
            "scores come from the base model's own weights"
        )


def _left_out(detector: Detector, left_out: Sequence[Sequence[int]]) -> str:
    numbers = dict.fromkeys(number for reason in left_out for number in reason)
    said = ", ".join(f"'{detector.memory.templates[number][:SHOWN]}'" for number in list(numbers)[:_MOST_SAID])
    return (
        f"{len(left_out)} of the support's windows are no example of ordinary ones, as they say what sounds bad and "
        f"hardly another says: {said}{', ...' * (len(numbers) > _MOST_SAID)}; they still calibrate: take out "
        f"those that failed, and give more lines where that is ordinary"
    )
