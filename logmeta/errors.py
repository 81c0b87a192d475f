"""Every error a user can meet: one tree, each class owns its exit code and its sentence."""

from __future__ import annotations


class LogmetaError(Exception):
    """Something a person can act on; its message says what came, what was needed and the way out."""

    exit_code = 2
    kind = "logmeta_error"

    def __reduce__(self) -> tuple[object, ...]:
        """Worker processes send it to the one that asked: made again from its message, whatever `__init__` takes."""
        return _again, (type(self), self.args)


def _again(kind: type[LogmetaError], args: tuple[object, ...]) -> LogmetaError:
    return kind.__new__(kind, *args)


class UsageError(LogmetaError):
    """A flag, option or setting that cannot be used as given."""

    kind = "usage"


class InputError(LogmetaError):
    """The log lines cannot be read or are too few."""

    exit_code = 3
    kind = "input"


class CalibrationError(LogmetaError):
    """The calibration scores cannot carry a promise."""

    exit_code = 3
    kind = "calibration"

    def __init__(self, *, total: int, finite: int) -> None:
        super().__init__(
            f"calibration needs finite scores only, got {finite} finite of {total}; "
            f"onboard the source again with more lines"
        )


class ArtifactError(LogmetaError):
    """A detector or base model folder that is damaged, foreign or from the future."""

    exit_code = 4
    kind = "artifact"


class BackendError(LogmetaError):
    """A server we need (Elasticsearch, the scorer) is down, refuses us or speaks another version."""

    exit_code = 5
    kind = "backend"
    transient = False
    retry_after_s: float | None = None


class UnreachableError(BackendError):
    """A server is down, slow or overloaded: the same may well work in a moment."""

    transient = True


class ScoreError(LogmetaError):
    """A score that is not a finite number: a defect, never an alarm."""

    exit_code = 4
    kind = "score"
