"""What a scorer does about drift, source by source: tell, calibrate anew, absorb what a deploy changed, learn anew."""

from __future__ import annotations

from collections.abc import Sequence

from logmeta.absorption import absorbing
from logmeta.drift import BLOCKS, Drift
from logmeta.refresh import recalibrated
from logmeta.registry import Response, Standing
from logmeta.serve.candidates import Candidates
from logmeta.serve.opened import OpenSource


class Responses:
    """Runs in the worker thread; what it makes is tried, published and taken up as any version is.

    A pinned source is told about only. `default` is for sources whose operator has not decided.
    """

    def __init__(self, candidates: Candidates, *, default: Response) -> None:
        self._candidates, self._default = candidates, default

    def respond(self, opened: OpenSource, standing: Standing, changes: Sequence[Drift]) -> None:
        """Do what is wanted after a batch, of whose drift `changes` tell."""
        response = standing.response or self._default
        kinds = {change.kind for change in changes}
        if standing.pinned or response == "notify":
            return
        if response == "absorb":
            self._absorb(opened)
        if response == "relearn" and kinds & {"deploy", "gradual"} and not standing.relearn:
            self._candidates.relearn(opened.detector.source)
        elif response != "relearn" and "gradual" in kinds:
            self._recalibrate(opened)

    def _absorb(self, opened: OpenSource) -> None:
        """Offer what has passed the gates, one version at a time; what the guard refused waits for new blocks."""
        if self._candidates.is_trying(opened.detector.source) or opened.drift.block < opened.offer_from:
            return
        more = opened.quarantine.ready()
        if not more:
            return
        opened.offer_from = opened.drift.block + BLOCKS
        changed = absorbing(opened.detector, more)
        text = f"absorbed {len(more)} templates of a deploy"
        self._candidates.offer(opened.detector, changed, why="absorbed", text=text)

    def _recalibrate(self, opened: OpenSource) -> None:
        found = recalibrated(opened.detector, opened.quiet)
        if found is not None:
            text = f"calibrated anew on the latest {len(found.calibration.scores)} quiet lines: gradual drift"
            self._candidates.offer(opened.detector, found, why="refreshed", text=text)
