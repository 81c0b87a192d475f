"""What the commands that follow data streams share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from logmeta.elastic.annotator import Annotator, Mode
from logmeta.elastic.bulk import Write
from logmeta.elastic.client import Address, connect
from logmeta.elastic.commands.options import progress, say
from logmeta.elastic.documents import ProcessorOptions
from logmeta.elastic.following import ALARMS, Follower, alarms_of
from logmeta.elastic.paths import Fields
from logmeta.elastic.patience import Patience
from logmeta.elastic.positions import Checkpoint
from logmeta.elastic.scorer import Scorer, ScorerAddress
from logmeta.elastic.tail import Batch, Tail
from logmeta.elastic.tally import Tally
from logmeta.errors import UsageError

ONCE_PATIENCE_S = 60.0


def annotate_stream(
    pattern: str,
    address: Address,
    scorer_address: ScorerAddress,
    *,
    mode: Mode,
    options: ProcessorOptions,
    checkpoint: Path | None,
    once: bool,
) -> Tally:
    """Score a stream's documents and write them as the mode says. Raises BackendError, UsageError."""
    tally, patience = Tally(), _patience(once)
    scorer = Scorer(scorer_address)
    try:
        make = Annotator(scorer, options, mode, tally=tally, patience=patience)
        purpose = f"{mode.purpose} --from {pattern}"
        return _follow(pattern, address, make, purpose, mode.wanted, checkpoint, tally, patience, once=once)
    finally:
        scorer.close()


def copy_alarms(pattern: str, address: Address, *, checkpoint: Path | None, once: bool) -> Tally:
    """Copy a stream's alarms into the alarm stream. Raises BackendError, UsageError."""
    purpose = f"alarms --from {pattern}"
    return _follow(pattern, address, alarms_of, purpose, ALARMS, checkpoint, Tally(), _patience(once), once=once)


def _follow(
    pattern: str,
    address: Address,
    make: Callable[[Batch], list[Write]],
    purpose: str,
    wanted: Fields | None,
    file: Path | None,
    tally: Tally,
    patience: Patience,
    *,
    once: bool,
) -> Tally:
    checkpoint = Checkpoint.load(file, purpose=purpose)
    client = connect(address)  # its version is not asked: that takes a right which reading does not
    tail = Tail(client, address, pattern, positions=checkpoint.positions, patience=patience, wanted=wanted)
    _announce(tail, pattern, file, once=once)
    show = progress()
    follower = Follower(
        client, address, tail, make,
        checkpoint=checkpoint, tally=tally, patience=patience, report=lambda tally: show(tally.words()),
    )  # fmt: skip
    try:
        follower.run(once=once)
    finally:
        show("")
        say([tally.words(), *_given_up(tail)])
    tally.require_all()
    return tally


def _announce(tail: Tail, pattern: str, file: Path | None, *, once: bool) -> None:
    """Raises UsageError when there is nothing to read and nothing will come."""
    tail.find()
    if not tail.names and once:
        raise UsageError(f"no data stream or index is called {pattern!r}, or you may not see it; correct --from")
    if not once:
        say([f"follows {', '.join(tail.names[:10]) or f'{pattern} (nothing of that name yet)'}; end it with Ctrl-C"])
        if file is None:
            say(["without --checkpoint a restart reads everything again (nothing is written twice)"])


def _given_up(tail: Tail) -> list[str]:
    if not tail.given_up:
        return []
    return [f"{tail.given_up} holes between sequence numbers were left early: too many at a time"]


def _patience(once: bool) -> Patience:
    return Patience(ONCE_PATIENCE_S if once else None, say=lambda words: say([words]))
