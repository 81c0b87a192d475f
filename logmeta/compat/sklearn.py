"""A log anomaly detector for scikit-learn: `fit` onboards ordinary lines, `predict` says -1 for an anomalous line.

Signs are scikit-learn's, the other way round than logmeta's: `score_samples` and `decision_function` are LOW for what
is odd, -1 is an outlier, +1 an inlier. `score_samples` is minus logmeta's `score`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from logmeta.compat import MissingExtraError, NotLogLinesError, from_files, to_files
from logmeta.errors import InputError
from logmeta.records import AlarmBudget

try:
    from sklearn.base import BaseEstimator, OutlierMixin
    from sklearn.utils import Tags
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError("scikit-learn") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmeta.detector import Detector

_FEW: Final = "fits on 10 to 15 rows; a detector needs at least 20 lines"
_ORDER: Final = "a log line is judged by the lines before it, so their order and company matter"
_LEARNED: Final = "wants outliers among the rows it was fitted on; lines that were learned are ordinary"
_NUMBERS: Final = "fits on numbers, which are no log lines and are refused; the same check passes on lines"

FAIL_ON_LINES: Final[dict[str, str]] = {
    "check_classifier_data_not_an_array": _FEW,
    "check_estimators_nan_inf": _FEW,
    "check_fit2d_1feature": _FEW,
    "check_methods_sample_order_invariance": _ORDER,
    "check_methods_subset_invariance": _ORDER,
    "check_n_features_in_after_fitting": _FEW,
    "check_outliers_fit_predict": _LEARNED,
    "check_outliers_train": _LEARNED,
}
"""scikit-learn's checks that fail even with log lines in place of the checks' numbers, each with its reason."""

_REFUSED: Final = (
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_n_features_in",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
)
EXPECTED_FAILED_CHECKS: Final[dict[str, str]] = dict.fromkeys(_REFUSED, _NUMBERS) | FAIL_ON_LINES
"""For `check_estimator(..., expected_failed_checks=...)`: every check that fails as it is, with its reason."""


class LogmetaOutlierDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Finds anomalous log lines; a line is judged in the context of the lines before it, so their order matters.

    X is a list, 1-D array or Series of lines, or a table of one column of them. Every call of `predict`,
    `decision_function` or `score_samples` reads X as a log that goes on where the fitted lines ended.

    Args:
        budget_per_day: false alarms accepted per day; it takes the place of `contamination`.
        source: the name of the log-producing system.
        stream_regex: its first group (or whole match) names the stream a line belongs to.
        random_state: the same lines and number give the same detector.

    After `fit`: `detector_` (logmeta's own detector), `offset_` (-0.5, where the alarm level stands),
    `n_features_in_` (1).
    """

    def __init__(
        self,
        *,
        budget_per_day: float = 10.0,
        source: str = "sklearn",
        stream_regex: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.budget_per_day = budget_per_day
        self.source = source
        self.stream_regex = stream_regex
        self.random_state = random_state

    def fit(self, X: object, y: object = None) -> LogmetaOutlierDetector:  # noqa: N803
        """Onboard ordinary lines, at least 20, in their order; `y` is ignored.

        Raises:
            NotLogLinesError: X is no log lines, or too few.
        """
        from logmeta.detector import MetaModel  # keeps the import of this module free of torch

        lines = self._lines(X, reset=True)
        try:
            self.detector_ = MetaModel.from_pretrained().onboard(
                lines,
                source=self.source,
                budget=AlarmBudget(self.budget_per_day),
                stream_regex=self.stream_regex,
                seed=self.random_state,
            )
        except InputError as error:
            raise NotLogLinesError(f"n_samples = {len(lines)}: {error}") from error
        self.offset_ = -0.5
        return self

    def score_samples(self, X: object) -> npt.NDArray[np.float64]:  # noqa: N803
        """Minus the score of each line, shape (n,), in (-1, 0]. Lower is more anomalous."""
        check_is_fitted(self)
        lines = self._lines(X, reset=False)
        return -np.array([line.score for line in self.detector_.score(lines)], dtype=np.float64)

    def decision_function(self, X: object) -> npt.NDArray[np.float64]:  # noqa: N803
        """`score_samples` minus `offset_`, shape (n,): below 0 is an outlier. Lower is more anomalous."""
        samples = self.score_samples(X)
        return np.asarray(samples - self.offset_)

    def predict(self, X: object) -> npt.NDArray[np.int64]:  # noqa: N803
        """-1 for each anomalous line, +1 for the others, shape (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _lines(self, X: object, *, reset: bool) -> Sequence[str]:  # noqa: N803
        table = validate_data(self, _column(X), reset=reset, dtype=None)
        lines: list[str] = table[:, 0].tolist()
        strange = [type(line).__name__ for line in lines if not isinstance(line, str)]
        if table.shape[1] != 1 or strange:
            came = f"{strange[0]} values" if strange else f"{table.shape[1]} columns"
            raise NotLogLinesError(
                f"{type(self).__name__} needs log lines, got {came}; "
                f"give a list or one column of strings, numbers belong to another estimator"
            )
        return lines

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """State as data: the detector travels as the files of its folder."""
        state = dict(super().__getstate__())
        detector: Detector | None = state.pop("detector_", None)
        return state if detector is None else state | {"detector_files": to_files(detector)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = state.pop("detector_files", None)
        super().__setstate__(state)
        if files is not None:
            self.detector_ = from_files(files)


def _column(lines: object) -> object:
    """A sequence of lines as a column, shape (n, 1), of objects, so that one long line does not widen the others."""
    if isinstance(lines, (list, tuple)) and lines and isinstance(lines[0], str):
        return np.array(lines, dtype=object).reshape(-1, 1)
    if getattr(lines, "ndim", 0) == 1 and getattr(getattr(lines, "dtype", None), "kind", "O") in "OUT":
        return np.asarray(lines, dtype=object).reshape(-1, 1)
    return lines
