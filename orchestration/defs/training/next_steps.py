"""What a person may do with a registered version, in words and commands, by what the gates said."""

from typing import Any

from ml.judging.gates import NEVER_OVERRIDDEN, SHADOW_ALLOWED
from orchestration.defs.training.candidates import Judgement


def after_refusal(source: str, registration: dict[str, Any], judgement: Judgement) -> list[str]:
    """Each refusal with its reason, then whether it is final, may be overridden, or leaves a trial in shadow."""
    version, refused = registration["model_version"], set(judgement.refused)
    lines = [f"refused by {gate['gate']}: {gate['message']}" for gate in judgement.gates if not gate["passed"]]
    if final := sorted(refused & NEVER_OVERRIDDEN):
        return [*lines, f"next: train another version; no one can override {' and '.join(final)}"]
    if refused <= SHADOW_ALLOWED:
        lines.append(f"next: try it in shadow: {_command('challenge start', version, source, '--shadow')}")
        lines.append(f"or let it answer, by a named person's decision: {_override(source, version, judgement)}")
    else:
        lines.append("next: train another version, or have a named person override the refusal, if the reason permits:")
        lines.append(f"  {_override(source, version, judgement)}")
    return lines


def after_passing(source: str, registration: dict[str, Any]) -> str:
    """The ways to serve a version that is not served."""
    promote = _command("model promote", registration["model_version"], source)
    return f"next: {promote} serves it, {compare_first(source, registration)}"


def compare_first(source: str, registration: dict[str, Any]) -> str:
    """The way to try a version before it answers anyone."""
    command = _command("challenge start", registration["model_version"], source, "--shadow")
    return f"{command} compares it with the champion first"


def _override(source: str, version: int, judgement: Judgement) -> str:
    return _command("model approve", version, source, *(f"--override {gate}" for gate in judgement.refused))


def _command(name: str, version: int, source: str, *options: str) -> str:
    return f"`loanlake {' '.join((name, str(version), *options))} --lender {source} --reason …`"
