"""The sequence model: many streams at once as each alone, the graph as torch, and the ablation is a bag."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.encode.graph import Graph
from logmeta.encode.sequence import BAND, Candidates, SequenceModel, Stretch, surprise
from logmeta.errors import ArtifactError

torch = pytest.importorskip("torch", reason="torch is not installed (the `train` extra)")

from logmeta.meta.sequence_net import BagNet, Both, SequenceNet, export  # noqa: E402

DIMENSION = 16


class InTorch:
    """A network that reads as a graph does, without being exported."""

    def __init__(self, net):
        self.both = Both(net.eval())

    def __call__(self, *, vectors, pauses):
        with torch.inference_mode():
            return tuple(x.numpy() for x in self.both(torch.from_numpy(vectors), torch.from_numpy(pauses)))


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    torch.manual_seed(0)
    return SequenceModel(InTorch(SequenceNet(DIMENSION)), 1.0)


def stretch(length: int, seed: int) -> Stretch:
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 6, length)
    table = np.eye(6, DIMENSION, dtype=np.float32)
    return Stretch(numbers, table[numbers], rng.exponential(1.0, length).astype(np.float32))


CANDIDATES = Candidates(np.eye(5, DIMENSION, dtype=np.float32), np.log(np.full(5, 0.2, dtype=np.float32)))


def test_many_short_streams_are_read_together_as_each_alone(model):
    streams = [stretch(length, seed) for seed, length in enumerate([1, 3, 70, 2, 33, 500, 1])]
    nats, hidden = surprise(model, streams, CANDIDATES)
    alone = [surprise(model, [s], CANDIDATES) for s in streams]
    np.testing.assert_allclose(nats, np.concatenate([n for n, _ in alone]), atol=1e-5)
    np.testing.assert_allclose(hidden, np.concatenate([h for _, h in alone]), atol=1e-5)


def test_the_first_line_of_every_stream_is_no_surprise(model):
    nats, _ = surprise(model, [stretch(4, 0), stretch(5, 1)], CANDIDATES)
    assert (nats[0], nats[4]) == (0, 0)


def test_a_bag_is_the_mean_of_the_last_band_of_vectors():
    vectors = torch.arange(2.0 * BAND).reshape(1, -1, 1).repeat(1, 1, DIMENSION)
    means = BagNet(DIMENSION)(vectors, torch.zeros(1, 2 * BAND))[0, :, 0]
    assert means[0] == 0
    assert means[2] == pytest.approx(1.0)
    assert means[-1] == pytest.approx(float(np.mean(np.arange(BAND, 2 * BAND))))


def test_a_bag_forgets_the_order():
    one = stretch(10, 3)
    turned = Stretch(one.numbers[::-1].copy(), one.vectors[::-1].copy(), one.pauses)
    bag = SequenceModel(InTorch(BagNet(DIMENSION)), 1.0)
    _, forward = surprise(bag, [one], CANDIDATES)
    _, backward = surprise(bag, [turned], CANDIDATES)
    np.testing.assert_allclose(forward[-1], backward[-1], atol=1e-6)


@pytest.mark.parametrize("kind", [SequenceNet, BagNet])
def test_the_exported_graph_gives_what_torch_gives(tmp_path, kind):
    pytest.importorskip("onnxscript", reason="exporting needs the `train` extra")
    torch.manual_seed(1)
    net = kind(DIMENSION)
    export(net, tmp_path / "sequence.onnx")
    graph = Graph(tmp_path / "sequence.onnx")
    streams = [stretch(length, seed) for seed, length in enumerate([1, 70, 33, 500])]
    ours, theirs = (surprise(SequenceModel(n, 0.9), streams, CANDIDATES) for n in (graph, InTorch(net)))
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-4)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-4)
    assert str(tmp_path).encode() not in (tmp_path / "sequence.onnx").read_bytes()
    assert b"/logmeta/" not in (tmp_path / "sequence.onnx").read_bytes()


def test_a_damaged_graph_is_refused_with_its_name(tmp_path):
    (tmp_path / "sequence.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match=r"sequence\.onnx is no graph"):
        Graph(tmp_path / "sequence.onnx")
