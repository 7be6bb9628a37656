"""Errors that a user of Loanlake can fix, each with what was required, what was found, where, and what to do.

::

    LoanlakeError
    ├── SourceFileError ── FileChangedError
    ├── LakeError ── LakeBusyError, NoLakeError
    ├── OnlineStoreError ── OnlineStoreUnavailable
    ├── RunRefused ── OtherRunUnderWay
    ├── ApprovalMissing, BackupError, BatchStateError, BatchTableError, BundleError, ContractError, DbtProjectError
    ├── ExpressionDomainError, ExpressionError, FormatError, GateRefusal, MonitoringError, NotFoundError
    ├── OutboxError, PullError, QueryError, ServiceError, SettingError, SparkError
    └── StreamError, TeamError, TrainingSetError
"""

import sqlite3


class LoanlakeError(Exception):
    """Base of all errors written for the user; the command prints the message without a traceback."""


class SettingError(LoanlakeError):
    """A setting or environment variable has a value that cannot be used."""


class SourceFileError(LoanlakeError):
    """A landing file is not what its source promises; nothing of it was loaded."""


class PullError(LoanlakeError):
    """A database or API cannot be read, or its rows cannot be loaded; nothing of the pull was."""


class StreamError(LoanlakeError):
    """Kafka cannot be read, or has messages no more that were not loaded; nothing of the batch was loaded."""


class FormatError(LoanlakeError):
    """A text is not in the required format; the message follows the words "must be"."""


class FileChangedError(SourceFileError):
    """A file was written to while it was loaded; nothing was loaded. Load it again once it is complete."""


class LakeError(LoanlakeError):
    """The lake is missing, or cannot be read."""


class LakeBusyError(LakeError):
    """Another process kept the writer lease past the time limit."""


class NoLakeError(LakeError):
    """There is no lake yet: loading the first file creates it."""


class TeamError(LoanlakeError):
    """A server that the machines of a team share cannot be reached or used."""


class QueryError(LoanlakeError):
    """A query that cannot be run, or would write where only reading is allowed."""


class DbtProjectError(LoanlakeError):
    """The dbt project cannot be parsed, so there is no asset graph."""


class ServiceError(LoanlakeError):
    """A service that ``loanlake up`` started ended by itself."""


class RunRefused(LoanlakeError):
    """An upstream check is not green, or a run stopped."""


class OtherRunUnderWay(RunRefused):
    """What is missing is the work of a run that has not ended, such as another lender's."""


class SparkError(LoanlakeError):
    """Spark cannot be started or used, or its tables are not those of the lake."""


class ContractError(LoanlakeError):
    """A feature contract contradicts itself or its SQL."""


class TrainingSetError(LoanlakeError):
    """A training set is too small to train and judge a model."""


class ExpressionError(LoanlakeError):
    """A row-level SQL expression that cannot be proven equal outside DuckDB."""


class ExpressionDomainError(LoanlakeError):
    """Values that a feature's formula does not accept: ln(0), an integer overflow, text instead of a number."""


class OnlineStoreError(LoanlakeError):
    """A key or value that the online store cannot hold, or an incomplete store."""


class OnlineStoreUnavailable(OnlineStoreError):
    """The online store does not answer, or no refresh has filled it yet."""


class OutboxError(LoanlakeError, sqlite3.DatabaseError):
    """The decision log's file has damage that SQLite ignores; callers can catch it as one of SQLite's errors."""


class BundleError(LoanlakeError):
    """A model bundle is incomplete, or was changed after it was written."""


class BackupError(LoanlakeError):
    """A backup cannot be made, is damaged, or does not fit where it must be restored."""


class BatchStateError(LoanlakeError):
    """A batch's state does not allow the operation."""


class BatchTableError(LoanlakeError):
    """A table that cannot be scored: unknown, private, or without the columns that a model reads."""


class MonitoringError(LoanlakeError):
    """There are no rows to compare with: no training reference, or no decisions."""


class NotFoundError(LoanlakeError):
    """A decision, model version or key that does not exist."""


class GateRefusal(LoanlakeError):
    """A model gate refused a candidate."""


class ApprovalMissing(LoanlakeError):
    """A version waits for a person's approval."""
