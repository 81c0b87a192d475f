"""The outer loop of meta-training: episodes on the net's scale, the query loss, learn2learn's meta-learners.

Finn, Abbeel, Levine. Model-Agnostic Meta-Learning. ICML 2017. Raghu et al. Rapid Learning or Feature Reuse? (ANIL).
ICLR 2020. Li, Zhou, Chen, Li. Meta-SGD. 2017. Arnold et al. learn2learn. 2020.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from logmeta.errors import UsageError
from logmeta.meta.adapt import EXCESS, NOISE, InnerLoop
from logmeta.meta.episodes import Episode
from logmeta.meta.features import WIDTH
from logmeta.meta.progress import Stage
from logmeta.meta.scorer import HIDDEN, Params, base_weights, together
from logmeta.window import FloatArray

if TYPE_CHECKING:
    from logmeta.meta.options import TrainOptions

Weights: TypeAlias = dict[str, Tensor]

NETS: Final = 4
TASKS_PER_STEP: Final = 4
_TOP: Final = 5
_CAUSES: Final = 0.5
_EXCHANGEABLE: Final = 0.3
_MARGIN: Final = 1.5


def initial_params(seed: int) -> Weights:
    """Weights of one net before meta-training."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "linear": torch.from_numpy(base_weights()) * 0.5,
        "w1": torch.randn(WIDTH, HIDDEN, generator=generator) / WIDTH**0.5,
        "b1": torch.zeros(HIDDEN),
        "w2": torch.randn(HIDDEN, generator=generator) / HIDDEN**0.5 * 0.3,
    }


def net_scores(params: Weights, x: Tensor) -> Tensor:
    """As `meta.scorer.net_scores` for a single net, differentiable."""
    return x @ params["linear"] + nn.functional.gelu(x @ params["w1"] + params["b1"]) @ params["w2"]


def ranking_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """How far anomalous lines are from standing above the normal ones, shape (), in [0, 2).

    log(1 + 5 mean exp(normal - anomalous)) per anomalous line, bounded as (1 - exp(-q l)) / q with q = 0.5 so that
    noisy labels cannot dominate (Zhang, Sabuncu. Generalized Cross Entropy Loss. NeurIPS 2018).
    """
    if positive.numel() == 0 or negative.numel() == 0:
        return (positive.sum() + negative.sum()) * 0
    above = torch.logsumexp(negative, 0) - torch.log(torch.tensor(float(negative.numel())))
    loss = nn.functional.softplus(above - positive + math.log(EXCESS))
    return ((1 - torch.exp(-NOISE * loss)) / NOISE).mean()


def support_loss(corrupted: Tensor, support: Tensor) -> Callable[[Weights], Tensor]:
    """Loss of the inner loop over standardised features: corrupted (m, WIDTH) above support (n, WIDTH)."""
    return lambda params: ranking_loss(net_scores(params, corrupted), net_scores(params, support))


@dataclass(frozen=True, slots=True)
class Tasks:
    """An episode on the net's scale."""

    support: Tensor
    held_out: Tensor
    corrupted: Tensor
    incidents: list[Tensor]
    causes: Tensor
    normal: Tensor

    @classmethod
    def of(cls, e: Episode, scale: tuple[FloatArray, FloatArray]) -> Tasks:
        def on_scale(x: FloatArray) -> Tensor:
            return torch.from_numpy((x - scale[0]) / scale[1])

        support, held_out, wrong, causes, normal = map(
            on_scale, (e.support, e.held_out, e.corrupted, e.causes, e.normal)
        )
        return cls(support, held_out, wrong, [on_scale(x) for x in e.incidents], causes, normal)

    def sample(self, rng: np.random.Generator) -> Tasks:
        """A step's share of the episode: fewer lines, half of the incidents."""

        def some(x: Tensor, most: int) -> Tensor:
            return x if len(x) <= most else x[torch.from_numpy(rng.choice(len(x), most, replace=False))]

        chosen = rng.permutation(len(self.incidents))[: (len(self.incidents) + 1) // 2]
        return Tasks(
            some(self.support, 300),
            some(self.held_out, 1500),
            some(self.corrupted, 300),
            [self.incidents[int(i)] for i in chosen],
            some(self.causes, 300),
            some(self.normal, 1500),
        )


class ScorerNet(nn.Module):
    """Some of the scorer's parameters as a module, so that learn2learn can clone and adapt them."""

    def __init__(self, params: Weights) -> None:
        super().__init__()
        for name, value in params.items():
            self.register_parameter(name, nn.Parameter(value.clone()))

    def params(self) -> Weights:
        """By name, as `net_scores` takes them."""
        return dict(self.named_parameters())


def query_loss(params: Weights, task: Tasks, margin: float = _MARGIN) -> Tensor:
    """Outer loss: each incident's few loudest lines, and the lines it caused, above the source's normal lines.

    Those must also look as odd as the support lines that were held out from adaptation: they are what later lines are
    calibrated against.
    """
    normal = net_scores(params, task.normal)
    below = normal + margin
    scored = [net_scores(params, x) for x in task.incidents if len(x)]
    peaks = [x.topk(min(_TOP, len(x))).values.mean() for x in scored]
    loudest = torch.stack(peaks) if peaks else below[:0]
    ranked = ranking_loss(loudest, below) + _CAUSES * ranking_loss(net_scores(params, task.causes), below)
    return ranked + _EXCHANGEABLE * shift_loss(normal, net_scores(params, task.held_out))


def shift_loss(later: Tensor, held_out: Tensor) -> Tensor:
    """How far normal lines' scores (n,) lie from those of the lines that calibrate them (m,), shape ().

    Means, and means of the highest tenth, in spreads of the later scores; 0 where exchangeable lines would be.
    """
    if later.numel() == 0 or held_out.numel() == 0:
        return (later.sum() + held_out.sum()) * 0
    spread = later.detach().std(correction=0) + 0.5
    away = torch.stack([later.mean() - held_out.mean(), _highest(later) - _highest(held_out)]) / spread
    return nn.functional.smooth_l1_loss(away, torch.zeros(2), reduction="sum")


def _highest(scores: Tensor) -> Tensor:
    return scores.topk(max(1, len(scores) // 10)).values.mean()


def meta_train(
    episodes: Sequence[Episode],
    scale: tuple[FloatArray, FloatArray],
    *,
    seed: int,
    steps: int,
    stage: Stage,
    options: TrainOptions,
    nets: int = NETS,
) -> tuple[Params, InnerLoop]:
    """The inner loop on corrupted support, the outer loss on labelled queries of the same source.

    Returns the meta-learned parameters of `nets` nets, each trained for `steps` steps from a seed of its own, and the
    inner loop by which a source adapts them.
    """
    tasks = [Tasks.of(e, scale) for e in episodes]
    chances = _chances(episodes)
    found = [_meta_train_net(tasks, chances, [seed, i], steps, stage, options) for i in range(nets)]
    inner = InnerLoop.of(options.inner_loop)
    rates = [rates for _, rates in found if rates]
    return together([net for net, _ in found]), inner.with_rates(together(rates)) if rates else inner


def _meta_train_net(
    tasks: Sequence[Tasks], chances: FloatArray, seed: list[int], steps: int, stage: Stage, options: TrainOptions
) -> tuple[Params, Params]:
    """One net, and its meta-learned step sizes where the inner loop has some."""
    inner, rng = InnerLoop.of(options.inner_loop), np.random.default_rng(seed)
    start = initial_params(int(rng.integers(2**31)))
    fixed = ScorerNet({name: p for name, p in start.items() if name in inner.frozen})
    learner_of = _meta_learner(ScorerNet({n: p for n, p in start.items() if n not in inner.frozen}), inner)
    weights = [*learner_of.parameters(), *fixed.parameters()]
    rates = {"params": list(getattr(learner_of, "lrs", ())), "weight_decay": 0.0}
    nets = {"params": [*learner_of.module.parameters(), *fixed.parameters()], "weight_decay": 0.05}
    optimiser = torch.optim.AdamW([nets, *([rates] if rates["params"] else [])], lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps)
    margin = _MARGIN if options.anti_collapse else 0.0
    for _ in range(steps):
        optimiser.zero_grad()
        chosen = rng.choice(len(tasks), min(TASKS_PER_STEP, len(tasks)), replace=False, p=chances)
        losses = [_outer_step(learner_of, fixed, tasks[int(i)].sample(rng), inner.steps, margin) for i in chosen]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        stage.step(sum(losses))
    learned = {**learner_of.module.params(), **fixed.params()}
    return arrays({name: learned[name] for name in start}), _learned_rates(learner_of, inner)


def _outer_step(learner_of: Any, fixed: ScorerNet, task: Tasks, steps: int, margin: float) -> float:
    """Adapt to a task, add the gradient of its query loss to the start weights; returns the loss."""
    learner = learner_of.clone()
    for _ in range(steps):
        params = {**learner.module.params(), **fixed.params()}
        learner.adapt(support_loss(task.corrupted, task.support)(params))
    loss = query_loss({**learner.module.params(), **fixed.params()}, task, margin) / TASKS_PER_STEP
    torch.autograd.backward(loss)
    return loss.item()


def _chances(episodes: Sequence[Episode]) -> FloatArray:
    """How likely a step meets each episode: every source alike, however many episodes it has."""
    of_source = Counter(e.source for e in episodes)
    return np.array([1 / of_source[e.source] for e in episodes]) / len(of_source)


def _meta_learner(net: ScorerNet, inner: InnerLoop) -> Any:  # learn2learn has no types
    try:
        import learn2learn as l2l
    except ImportError as error:
        raise UsageError("meta-training needs the `train` extra; docs/training.md says how to install it") from error
    if inner.kind == "meta-sgd":
        return l2l.algorithms.MetaSGD(net, lr=inner.rate, first_order=False)
    return l2l.algorithms.MAML(net, lr=inner.rate, first_order=inner.kind == "first-order")


def _learned_rates(learner: Any, inner: InnerLoop) -> Params:
    """Meta-SGD learns a rate per weight; the other inner loops keep theirs."""
    if inner.kind != "meta-sgd":
        return {}
    names = [name for name, _ in learner.module.named_parameters()]
    return arrays(dict(zip(names, learner.lrs, strict=True)))


def arrays(weights: Mapping[str, Tensor]) -> Params:
    """A single net's weights as arrays."""
    return {name: np.array(p.detach().numpy(), dtype=np.float32) for name, p in weights.items()}
