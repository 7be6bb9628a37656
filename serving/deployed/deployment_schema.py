"""The body of a score request while one version is served, or two: the union of their fields.

A field that one answering version requires is always required, since callers cannot know which version answers; the
violation names the version. Fields that only a shadow challenger requires are optional.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from ml.decisions.problems import Violation
from serving.deployed.score_request import ALWAYS
from serving.http.body_schema import BodySchema, Field, invalid, unknown_fields
from serving.http.problems import InvalidRequest


@dataclass(frozen=True)
class Version:
    """A version of a deployment; ``answers``: whether it may answer callers.

    ``name`` as in "default_risk_simulated version 8, the champion".
    """

    name: str
    schema: BodySchema
    answers: bool = True


class Requests(msgspec.Struct, frozen=True):
    """One body as each version takes it; None for a challenger in shadow that cannot take it."""

    champion: dict[str, Any]
    challenger: dict[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Every field of either."""
        return {**(self.challenger or {}), **self.champion}


class DeploymentSchema:
    """Validates a body once where versions agree, and for each where they differ."""

    def __init__(self, champion: Version, challenger: Version | None = None):
        self._champion = champion
        self._challenger = challenger
        self._is_one = challenger is None or _rules(champion.schema) == _rules(challenger.schema)
        of_challenger = challenger.schema.fields if challenger else {}
        self.fields: dict[str, Field] = {**of_challenger, **champion.schema.fields}

    def validate(self, body: Any, *, suggests: bool = True) -> Requests:
        """The body for each version; raises InvalidRequest with all violations of those that may answer.

        ``suggests``: suggest names for unknown ones.
        """
        if self._is_one or not isinstance(body, dict):
            values = self._champion.schema.validate(body, suggests=suggests)
            return Requests(values, values if self._challenger else None)
        values_of: dict[str, dict[str, Any]] = {}
        broken: dict[str, tuple[Violation, ...]] = {}
        for version in self._versions():
            part = {name: value for name, value in body.items() if name in version.schema.fields}
            try:
                values_of[version.name] = version.schema.validate(part)
            except InvalidRequest as problem:
                broken[version.name] = problem.violations
        unknown = unknown_fields(body, self.fields, suggests=suggests)
        demanded = [version for version in self._versions() if version.answers and version.name in broken]
        if demanded or unknown:
            # as a dictionary: a violation for both versions is listed once
            violations = {
                repr(named): named
                for version in demanded
                for named in (self._named(violation, version) for violation in broken[version.name])
            }
            raise invalid((*violations.values(), *unknown))
        challenger = self._challenger.name if self._challenger else ""
        return Requests(values_of[self._champion.name], values_of.get(challenger))

    def needed_by(self, name: str) -> tuple[str, ...]:
        """The versions that accept a field, for descriptions; empty if all do, and for the ids."""
        takers = [version for version in self._versions() if name in version.schema.fields]
        return () if len(takers) == len(self._versions()) or name in ALWAYS else tuple(each.name for each in takers)

    def is_required(self, name: str) -> bool:
        """Whether every request must give it."""
        return any(
            version.answers and name in version.schema.fields and version.schema.fields[name].required
            for version in self._versions()
        )

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the union, for OpenAPI; must satisfy both versions' bounds."""
        schema = self._champion.schema.json_schema()
        if self._is_one or self._challenger is None:
            return schema
        other = self._challenger.schema.json_schema()
        properties: dict[str, Any] = schema["properties"]
        for name, documented in other["properties"].items():
            same_rule = name in properties and _rule(self._champion.schema.fields[name]) == _rule(
                self._challenger.schema.fields[name]
            )
            if name not in properties:
                properties[name] = documented
            elif self._challenger.answers and not same_rule:
                properties[name] = {"allOf": [properties[name], documented]}
        for name in self.fields:
            needed_by = self.needed_by(name)
            if needed_by:
                text = f"{properties[name].get('description', '')} Only for {needed_by[0]}.".strip()
                properties[name] = {**properties[name], "description": text}
        schema["required"] = [name for name in self.fields if self.is_required(name)]
        return schema | {"examples": [{**other["examples"][0], **schema["examples"][0]}]}

    def _versions(self) -> tuple[Version, ...]:
        return (self._champion,) if self._challenger is None else (self._champion, self._challenger)

    def _named(self, violation: Violation, version: Version) -> Violation:
        """The violation, with the version if the other one has another rule, or none."""
        if all(
            _rules(each.schema).get(violation.field) == _rules(version.schema).get(violation.field)
            for each in self._versions()
        ):
            return violation
        return msgspec.structs.replace(violation, rule=f"{violation.rule} (needed by {version.name})")


def _rules(schema: BodySchema) -> dict[str, tuple[Any, bool]]:
    return {name: _rule(field) for name, field in schema.fields.items()}


def _rule(field: Field) -> tuple[Any, bool]:
    return field.type, field.required
