"""Networks as ONNX graphs: what runs where lines are scored, on one thread, without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from logmeta.errors import ArtifactError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WHOLE = "whole"  # note of a graph of steps: digest of the graph that reads whole streams
_QUIET = 4


class Graph:
    """A network read from a file: arrays by name in, arrays in the graph's own order out. Holds no state."""

    def __init__(self, path: Path) -> None:
        """Read a graph.

        Raises:
            ArtifactError: the file is missing or is no graph that can be run.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ArtifactError(f"{path} does not read ({error.strerror}); reinstall logmeta or train again") from error
        self._session = _session(content, path)

    def __call__(self, **arrays: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(self._session.run(None, arrays))

    @property
    def widths(self) -> tuple[int, ...]:
        """The last dimension of each output."""
        return tuple(int(output.shape[-1]) for output in self._session.get_outputs())

    @property
    def notes(self) -> dict[str, str]:
        """What was noted when the graph was written."""
        return dict(self._session.get_modelmeta().custom_metadata_map)


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _session(content: bytes, path: Path) -> InferenceSession:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one core per process, as everything here
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # int8 weights are widened once, when read
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise ArtifactError(
            f"{path} is no graph that can be run ({error}); reinstall logmeta or train again"
        ) from error
