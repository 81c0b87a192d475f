"""The sequence model: many streams at once as each alone, the graph as torch, and the ablation is a bag."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.encode.graph import Graph
from logmeta.encode.sequence import BAND, STEP, Candidates, SequenceModel, Stretch, surprise, surprise_in_steps
from logmeta.errors import ArtifactError
from logmeta.meta.base import load_base, read_sequence

torch = pytest.importorskip("torch", reason="torch is not installed (the `train` extra)")

from logmeta.meta.sequence_net import BagNet, Both, SequenceNet, Step, export, export_steps  # noqa: E402

DIMENSION = 16


class InTorch:
    """A network that reads as a graph does, without being exported."""

    def __init__(self, net):
        self.both = Both(net.eval())

    def __call__(self, *, vectors, pauses):
        with torch.inference_mode():
            return tuple(x.numpy() for x in self.both(torch.from_numpy(vectors), torch.from_numpy(pauses)))


class StepsInTorch:
    """The same for steps."""

    def __init__(self, net):
        self.step = Step(net.eval())

    def __call__(self, **arrays):
        with torch.inference_mode():
            return tuple(x.numpy() for x in self.step(**{name: torch.from_numpy(x) for name, x in arrays.items()}))


def in_steps(model, streams, cuts):
    """Streams read piece by piece; `cuts` are the ends of the pieces, beyond a stream's end for all of it."""
    pasts, found = [None] * len(streams), [([], []) for _ in streams]
    for begin, end in zip([0, *cuts], [*cuts, 10_000], strict=True):
        going = [i for i, s in enumerate(streams) if len(s.numbers) > begin]
        pieces = [Stretch(*(part[begin:end] for part in streams[i])) for i in going]
        nats, hidden, later = surprise_in_steps(model, [pasts[i] for i in going], pieces, CANDIDATES)
        ends = np.cumsum([len(piece.numbers) for piece in pieces])[:-1]
        for i, n, h, kept in zip(going, np.split(nats, ends), np.split(hidden, ends), later, strict=True):
            pasts[i] = kept
            found[i][0].append(n)
            found[i][1].append(h)
    return tuple(np.concatenate([part for f in found for part in f[k]]) for k in (0, 1))


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


@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], [40, 41, 90], [STEP], range(1, 120)])
def test_a_stream_read_in_steps_gives_what_it_gives_at_once(cuts):
    torch.manual_seed(2)
    net = SequenceNet(DIMENSION)
    torch.nn.init.normal_(net.blocks[0].distance)
    torch.nn.init.normal_(net.pause)
    model = SequenceModel(InTorch(net), 1.0, StepsInTorch(net), 64)
    streams = [stretch(length, seed) for seed, length in enumerate([150, 1, 33, 3, 100])]
    whole, stepped = surprise(model, streams, CANDIDATES), in_steps(model, streams, cuts)
    np.testing.assert_allclose(stepped[0], whole[0], atol=1e-4)
    np.testing.assert_allclose(stepped[1], whole[1], atol=1e-4)


def test_the_shipped_steps_are_of_the_shipped_network():
    sequence = load_base(None).encoders.sequence
    assert sequence.steps is not None
    rng = np.random.default_rng(5)
    table = rng.normal(size=(6, 128)).astype(np.float32) / 11
    numbers = rng.integers(0, 6, 100)
    streams = [Stretch(numbers, table[numbers], rng.exponential(1.0, 100).astype(np.float32))]
    among = Candidates(table[:5], np.log(np.full(5, 0.2, dtype=np.float32)))
    nats, hidden = surprise(sequence, streams, among)
    first = surprise_in_steps(sequence, [None], [Stretch(*(part[:90] for part in streams[0]))], among)
    then = surprise_in_steps(sequence, first[2], [Stretch(*(part[90:] for part in streams[0]))], among)
    np.testing.assert_allclose(np.concatenate([first[0], then[0]]), nats, atol=1e-4)
    np.testing.assert_allclose(np.concatenate([first[1], then[1]]), hidden, atol=1e-4)


def test_steps_of_another_network_are_refused(tmp_path):
    pytest.importorskip("onnxscript", reason="exporting needs the `train` extra")
    nets = [SequenceNet(DIMENSION), SequenceNet(DIMENSION)]
    for net, name in zip(nets, ("sequence.onnx", "other.onnx"), strict=True):
        export(net, tmp_path / name)
    export_steps(nets[1], tmp_path / "sequence-steps.onnx", whole=tmp_path / "other.onnx")
    with pytest.raises(ArtifactError, match="another network"):
        read_sequence(tmp_path, 1.0)
    export_steps(nets[0], tmp_path / "sequence-steps.onnx", whole=tmp_path / "sequence.onnx")
    assert read_sequence(tmp_path, 1.0).width == 64


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
