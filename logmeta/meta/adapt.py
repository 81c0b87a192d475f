"""The inner loop: fast weights of the scorer from a support set, no label needed.

Support lines (0) against corrupted stretches of the support (1): what the source's own lines look like when foreign
lines, bursts, reorders or blown-up numbers are put into them. With labelled anomalies their lines join the ones.

Finn, Abbeel, Levine. Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks. ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from logmeta.meta.scorer import Params, net_scores

INNER_STEPS: Final = 3
INNER_LR: Final = 0.05
_NOISE: Final = 0.5  # the loss's bound: one wrong label cannot dominate


def ranking_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """How far anomalous lines are from standing above the normal ones, shape (), in [0, 2).

    log(1 + 5 mean exp(normal - anomalous)) per anomalous line, bounded as (1 - exp(-q l)) / q with q = 0.5 so that
    noisy labels cannot dominate (Zhang, Sabuncu. Generalized Cross Entropy Loss. NeurIPS 2018).
    """
    if positive.numel() == 0 or negative.numel() == 0:
        return (positive.sum() + negative.sum()) * 0
    above = torch.logsumexp(negative, 0) - torch.log(torch.tensor(float(negative.numel())))
    loss = torch.nn.functional.softplus(above - positive + 1.609)
    return ((1 - torch.exp(-_NOISE * loss)) / _NOISE).mean()


def adapt(
    loss: Callable[[Params], Tensor], params: Params, *, lr: float, steps: int, first_order: bool = False
) -> Params:
    """Fast weights after `steps` gradient steps on a support set (Finn et al. 2017, algorithm 1).

    `loss` maps parameters to the support loss, shape (). `params` is left as it was; the result
    stays differentiable with respect to it, to second order unless `first_order`.
    """
    for _ in range(steps):
        grads = torch.autograd.grad(loss(params), tuple(params.values()), create_graph=not first_order)
        params = {name: p - lr * g for (name, p), g in zip(params.items(), grads, strict=True)}
    return params


def support_loss(corrupted: Tensor, support: Tensor) -> Callable[[Params], Tensor]:
    """Loss of the inner loop over standardised features: corrupted (m, WIDTH) above support (n, WIDTH)."""
    return lambda params: ranking_loss(net_scores(params, corrupted), net_scores(params, support))


def fast_weights(params: Params, corrupted: Tensor, support: Tensor) -> Params:
    """The scorer adapted to one source, detached: what `onboard` stores."""
    start = {name: p.detach().clone().requires_grad_(True) for name, p in params.items()}
    fast = adapt(support_loss(corrupted, support), start, lr=INNER_LR, steps=INNER_STEPS, first_order=True)
    return {name: p.detach() for name, p in fast.items()}


def ranks_no_worse(params: Params, corrupted: Tensor, support: Tensor, base: tuple[Tensor, Tensor]) -> bool:
    """The guard: whether the adapted net puts corrupted above support at least as often as the base score does.

    `base` holds the base scores of the same corrupted and support lines.
    """
    ours = _auroc(net_scores(params, corrupted), net_scores(params, support))
    return ours >= _auroc(*base) - 0.02


def _auroc(positive: Tensor, negative: Tensor) -> float:
    if positive.numel() == 0 or negative.numel() == 0:
        return 0.5
    below = torch.searchsorted(negative.sort().values, positive.contiguous())
    upto = torch.searchsorted(negative.sort().values, positive.contiguous(), right=True)
    return float(((below + upto) / 2).float().mean() / negative.numel())
