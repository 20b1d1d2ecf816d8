"""What a user can put right: every error the command line prints as one line, with exit code 2."""

from __future__ import annotations


class BenchError(Exception):
    """The message gives the wrong value, what is wrong with it and what to do."""


class DataError(BenchError):
    """A dataset that is missing, incomplete or not what it claims to be."""


class MnistMissingError(DataError):
    """MNIST is not on this machine and could not be downloaded."""


class DeviceError(BenchError):
    """A device that this machine does not have."""


class EngineError(BenchError):
    """An engine that does not exist here, or that cannot train what it is asked to."""


class IterationError(BenchError):
    """An iteration that does not exist, or whose file cannot be read as one."""


class UnansweredError(IterationError):
    """A model file whose process ended or took too long: another time it may do."""


class RecipeError(BenchError):
    """A recipe that does not exist, or whose file cannot be read as one; names the field."""


class LedgerError(BenchError):
    """A ledger that cannot be read, trusted or written."""


class SettingsError(BenchError):
    """A wrong value in the project's configuration or on the command line."""


class EvidenceError(BenchError):
    """Evidence that does not allow what was asked of it."""


class BundleError(BenchError):
    """A bundle that cannot be written, or an archive that is none or not safe to read."""


class BaselineError(BenchError):
    """Something to compare with that cannot be read: a git revision, or a ledger of other runs."""


class ClusterError(BenchError):
    """A cluster that cannot be reached, or a node of it that does not do."""


class GradingError(BenchError):
    """A folder of submissions or a table of claims that cannot be read as one."""


class SearchError(BenchError):
    """A space that cannot be searched, or a study that is of another one."""


class ExportError(BenchError):
    """An export that lacks its library, or whose destination cannot take it."""
