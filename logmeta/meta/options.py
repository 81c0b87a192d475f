"""How a base model is trained: the shipped choice, and the ablations that `logmeta eval` compares it with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

InnerLoopKind: TypeAlias = Literal["maml", "first-order", "anil", "meta-sgd", "none"]
SequenceKind: TypeAlias = Literal["transformer", "bag"]


@dataclass(frozen=True, slots=True)
class Training:
    """What is asked of one training.

    `data` are folders of labelled logs, `hold_out` names systems that must not be seen, nor others of their families;
    `quick` cuts the steps to a tenth.
    """

    data: tuple[Path, ...]
    seed: int = 0
    hold_out: tuple[str, ...] = ()
    quick: bool = False
    name: str = "base"

    def steps(self, full: int) -> int:
        """How many of a full training's steps are done."""
        return full // 10 if self.quick else full


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """`inner_loop`: how a source adapts the scorer; "none" trains and onboards without synthetic tasks.

    `anti_collapse`: the margin by which anomalies shall stand above ordinary lines, lest all scores become alike.
    `sequence`: the transformer, or a bag of the recent templates in its place.
    """

    inner_loop: InnerLoopKind = "meta-sgd"
    anti_collapse: bool = True
    sequence: SequenceKind = "transformer"
