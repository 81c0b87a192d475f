"""The inner loop: its gradient against autograd, its steps against learn2learn, meta-gradients worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from logmeta.meta.adapt import InnerLoop, fast_weights, guarded
from logmeta.meta.features import WIDTH
from logmeta.meta.scorer import net_scores, nets_of, together

torch = pytest.importorskip("torch", reason="torch is not installed (the `train` extra)")

from logmeta.meta import outer  # noqa: E402
from logmeta.meta.outer import ScorerNet, arrays, initial_params, ranking_loss, support_loss  # noqa: E402


def task(seed):
    """Corrupted and support features of a made-up source."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, WIDTH)).astype(np.float32) + shift for n, shift in ((12, 0.3), (20, 0.0)))


def tensors(*parts):
    return tuple(torch.from_numpy(np.asarray(part)) for part in parts)


def start(*seeds):
    return together([arrays(initial_params(seed)) for seed in seeds or (0,)])


@pytest.mark.parametrize(("first_order", "expected"), [(False, 1.28), (True, 1.6)])
def test_the_meta_gradient_of_a_parabola_is_the_one_worked_out_by_hand(first_order, expected):
    l2l = pytest.importorskip("learn2learn", reason="learn2learn is not installed (the `train` extra)")
    net = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(1.0))])
    maml = l2l.algorithms.MAML(net, lr=0.1, first_order=first_order)
    learner = maml.clone()
    learner.adapt(learner.module[0] ** 2)  # fast = 0.8 w
    (learner.module[0] ** 2).backward()  # query loss
    assert net[0].grad.item() == pytest.approx(expected)


def test_one_pair_of_equal_scores_costs_what_the_formula_says():
    loss = math.log(1 + 5)  # log(1 + 5 exp(0))
    expected = (1 - math.exp(-0.5 * loss)) / 0.5
    assert ranking_loss(torch.zeros(1), torch.zeros(1)).item() == pytest.approx(expected, abs=1e-3)


def test_scores_that_calibration_would_not_expect_cost_what_the_formula_says():
    held_out = torch.tensor([0.0, 2.0])  # mean 1, its highest tenth 2
    later = held_out + 3  # spread 1
    away = 3 / (1 + 0.5)
    assert outer.shift_loss(later, held_out).item() == pytest.approx(2 * (away - 0.5))  # Huber, two of them
    assert outer.shift_loss(held_out, held_out).item() == 0
    assert outer.shift_loss(later[:0], held_out).item() == 0


def test_the_loss_is_small_when_anomalous_lines_stand_above_and_bounded_when_they_do_not():
    above, below = torch.full((3,), 50.0), torch.full((3,), -50.0)
    assert ranking_loss(above, below).item() == pytest.approx(0, abs=1e-6)
    assert ranking_loss(below, above).item() <= 2


@pytest.mark.parametrize(("bad", "good"), [(0, 3), (3, 0), (0, 0)])
def test_without_lines_on_one_side_there_is_nothing_to_learn(bad, good):
    params = start()
    fast = fast_weights(params, np.ones((bad, WIDTH), np.float32), np.zeros((good, WIDTH), np.float32))
    assert all(np.array_equal(fast[name], params[name]) for name in params)


def test_no_steps_leave_the_weights_as_they_are():
    params = start()
    fast = fast_weights(params, *task(1), InnerLoop.of("none"))
    assert all(np.array_equal(fast[name], params[name]) for name in params)


def test_adaptation_lowers_the_support_loss():
    bad, good = task(3)
    loss = support_loss(*tensors(bad, good))
    before, after = initial_params(0), fast_weights(start(), bad, good)
    (adapted,) = nets_of(after)
    assert loss({n: torch.from_numpy(p) for n, p in adapted.items()}).item() < loss(before).item()


def test_adapting_leaves_the_base_alone():
    params = start()
    before = {name: p.copy() for name, p in params.items()}
    fast_weights(params, *task(1))
    assert all(np.array_equal(params[name], before[name]) for name in params)


@pytest.mark.parametrize("seed", range(4))
def test_the_written_out_gradient_is_the_one_of_autograd(seed):
    bad, good = task(seed)
    params = start(seed)
    slow = {name: p.requires_grad_(True) for name, p in initial_params(seed).items()}
    support_loss(*tensors(bad, good))(slow).backward()
    stepped = fast_weights(params, bad, good, InnerLoop(steps=1, rate=1.0))
    for name, p in slow.items():
        np.testing.assert_allclose((params[name] - stepped[name])[0], p.grad, atol=2e-5)


def test_a_frozen_body_stays_and_a_rate_per_weight_is_taken_weight_by_weight():
    params = start()
    anil = fast_weights(params, *task(2), InnerLoop.of("anil"))
    assert [n for n in params if not np.array_equal(anil[n], params[n])] == ["linear", "w2"]
    rates = {name: np.zeros_like(p) for name, p in params.items()}
    rates["w2"][0, 0] = 0.05
    some = fast_weights(params, *task(2), InnerLoop.of("meta-sgd").with_rates(rates))
    assert np.argwhere(some["w2"] != params["w2"]).tolist() == [[0, 0]]
    assert np.array_equal(some["linear"], params["linear"])


def test_the_guard_keeps_adaptation_where_it_helps_and_else_the_start_weights():
    params, (bad, good) = start(), task(3)
    fast, kept = guarded(params, bad, good)
    assert kept
    assert all(np.array_equal(fast[name], p) for name, p in fast_weights(params, bad, good).items())
    uphill = InnerLoop(steps=3, rate=-0.5)
    assert not np.array_equal(fast_weights(params, bad, good, uphill)["linear"], params["linear"])
    slow, kept = guarded(params, bad, good, uphill)
    assert not kept
    assert slow is params


def test_with_nothing_corrupted_nothing_is_adapted_and_the_guard_has_no_say():
    params, (_, good) = start(), task(3)
    assert guarded(params, good[:0], good) == (params, True)


def test_scores_are_those_of_the_net_that_is_trained():
    bad, _ = task(7)
    params = initial_params(7)
    np.testing.assert_allclose(net_scores(start(7), bad), outer.net_scores(params, *tensors(bad)), atol=1e-5)


@pytest.mark.parametrize("first_order", [False, True])
def test_onboardings_inner_loop_is_the_one_of_learn2learn(first_order):
    l2l = pytest.importorskip("learn2learn", reason="learn2learn is not installed (the `train` extra)")
    bad, good = task(5)
    learner = l2l.algorithms.MAML(ScorerNet(initial_params(4)), lr=0.05, first_order=first_order).clone()
    for _ in range(3):
        learner.adapt(support_loss(*tensors(bad, good))(learner.module.params()))
    theirs = arrays(learner.module.params())
    ours = fast_weights(start(4), bad, good)
    for name in ours:
        np.testing.assert_allclose(ours[name][0], theirs[name], atol=1e-5)


def test_each_net_is_adapted_by_itself_and_scores_are_their_mean():
    bad, good = task(6)
    both = fast_weights(start(1, 2), bad, good)
    alone = [fast_weights(start(seed), bad, good) for seed in (1, 2)]
    for name, p in both.items():
        np.testing.assert_array_equal(p, np.concatenate([one[name] for one in alone]))
    np.testing.assert_allclose(net_scores(both, good), sum(net_scores(one, good) for one in alone) / 2, atol=1e-6)
