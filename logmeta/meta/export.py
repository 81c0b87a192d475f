"""Networks from torch to ONNX graphs, and their weights to eight bits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from logmeta.encode.text import GRAPH_FILE
from logmeta.errors import UsageError
from logmeta.window import FloatArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto

_LARGE: Final = 4_096
_STEPS: Final = 127


def write_graph(
    module: nn.Module,
    example: Mapping[str, Tensor],
    free: Mapping[str, Sequence[str]],
    *,
    outputs: Sequence[str],
    path: Path,
    eight_bits: bool = False,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Export a module as a graph.

    Args:
        example: inputs by the name of the module's argument, each dimension in `free` at least 2.
        free: names of the leading dimensions of each input that may differ from call to call.
        outputs: names of what the module returns.
        path: file to write.
        notes: what the graph carries along, by name.
        eight_bits: store large weights as int8; they must have been rounded before (`rounded`), so nothing is lost.

    Raises:
        UsageError: the packages that export are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  # what torch exports with
    except ImportError as error:
        raise UsageError("exporting needs the `train` extra; docs/training.md says how to install it") from error
    sizes = {
        name: torch.export.Dim(name, min=1, max=65_536) for name in sorted({n for of in free.values() for n in of})
    }
    shapes = tuple({i: sizes[name] for i, name in enumerate(free[argument])} for argument in example)
    with _quietly():
        program = torch.onnx.export(
            module,
            tuple(example.values()),
            dynamo=True,
            verbose=False,
            dynamic_shapes=shapes,
            input_names=list(example),
            output_names=list(outputs),
        )
    assert program is not None
    graph = _without_traces(program.model_proto)
    onnx.helper.set_model_props(graph, dict(notes or {}))
    onnx.save(_eight_bits(graph) if eight_bits else graph, str(path))


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter tells its authors more than its users."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(before)


def _without_traces(model: ModelProto) -> ModelProto:
    """Stack traces and paths of the machine that exported, removed."""
    del model.metadata_props[:]
    model.doc_string = ""
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.value_info, *model.graph.input):
        part.doc_string = ""
        del part.metadata_props[:]
    for part in (model.graph, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def rounded(weights: Tensor) -> Tensor:
    """A matrix whose rows have 255 values at most, multiples of a power of two: exact in int8 and in half floats.

    Same shape and type. The largest error is 1/127 of a row's largest value.
    """
    values = weights.float().numpy()
    step = _steps(values, axis=1)
    return torch.from_numpy(np.round(values / step) * step).to(weights.dtype)


def _steps(values: FloatArray, *, axis: int) -> FloatArray:
    """The power of two per row (axis 1) or column (axis 0) of which int8 holds every value's nearest multiple."""
    peak = np.abs(values).max(axis=axis, keepdims=True)
    return np.asarray(2.0 ** np.ceil(np.log2(np.maximum(peak, 2.0**-16) / _STEPS)), dtype=np.float32)


def write_encoder_graph(folder: Path) -> None:
    """Write the graph of a text encoder beside the Hugging Face files it is made from; its weights are `rounded`.

    Raises:
        ArtifactError: the folder is no encoder.
        UsageError: the packages that export are not installed.
    """
    from logmeta.encode.huggingface import Pooled, load_model, load_projection

    network = Pooled(load_model(folder), load_projection(folder))
    names = ("texts", "tokens")
    mask = (torch.arange(12) < torch.tensor([[12], [7]])).long()  # a full mask would be exported as none at all
    inputs, free = {"ids": torch.arange(24).view(2, 12), "mask": mask}, {"ids": names, "mask": names}
    write_graph(network, inputs, free, outputs=("vectors",), path=folder / GRAPH_FILE, eight_bits=True)


def _eight_bits(model: ModelProto) -> ModelProto:
    from onnx import numpy_helper

    kept = []
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        is_large = values.dtype == np.float32 and values.ndim == 2 and values.size >= _LARGE
        found = _split(values) if is_large else None
        if found is None:
            kept.append(tensor)
        else:
            kept += _widened(model, tensor.name, *found)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def _split(values: Any) -> tuple[Any, Any, int] | None:
    """Values as int8, steps, and the axis that the steps lie along; None where they were not rounded."""
    for axis in (0, 1):
        step = _steps(values, axis=1 - axis)
        if np.array_equal(np.round(values / step) * step, values):
            return np.round(values / step).astype(np.int8), step.squeeze(1 - axis), axis
    return None


def _widened(model: ModelProto, name: str, values: Any, steps: Any, axis: int) -> list[Any]:
    """Initialisers of an int8 matrix, and the nodes that give it back its name."""
    from onnx import helper, numpy_helper

    node = helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.step"], [name], axis=axis)
    model.graph.node.insert(0, node)
    return [numpy_helper.from_array(values, f"{name}.int8"), numpy_helper.from_array(steps, f"{name}.step")]
