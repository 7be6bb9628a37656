"""The definition of each kind of alert: ``rules.yml`` of this room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

RULES_FILE = Path(__file__).with_name("rules.yml")


@dataclass(frozen=True)
class AlertRule:
    """A kind of alert. ``titles``: of causes that need a title of their own; ``high``: when its severity is high.

    ``page``: the page and section of the API's site that show it, empty if none does.
    """

    kind: str
    title: str
    meaning: str
    high: str
    action: str
    runbook: str
    page: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    def title_of(self, cause: str) -> str:
        """The title of an alert from this cause."""
        return self.titles.get(cause, self.title)


@cache
def alert_rules() -> Mapping[str, AlertRule]:
    """Kind → rule, in the order of the file."""
    content = yaml.safe_load(RULES_FILE.read_text())
    return MappingProxyType({kind: AlertRule(kind=kind, **rule) for kind, rule in content.items()})
