"""An alert as ``monitoring.alert_states`` has it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from warehouse.alerts.rules import AlertRule, alert_rules

State = Literal["open", "acknowledged", "resolved"]
Severity = Literal["low", "high"]


@dataclass(frozen=True)
class Alert:
    """A row of ``monitoring.alert_states``, whose YAML describes each field; ``source`` is None for all lenders."""

    alert_id: str
    source: str | None
    kind: str
    cause: str
    state: State
    severity: Severity
    first_month: date
    last_month: date
    n_months: int
    n_quiet_months: int
    n_subjects: int
    subjects: str
    new_subjects: str
    worst_subject: str
    model_versions: str
    value: float | None
    threshold: float | None
    message: str
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_because: str | None = None

    @property
    def rule(self) -> AlertRule:
        """What its kind means, and what to do."""
        return alert_rules()[self.kind]

    @property
    def title(self) -> str:
        """What is wrong, without figures."""
        return self.rule.title_of(self.cause)
