"""Bundles that were altered, with checksums that fit: whole in themselves."""

import hashlib
import json
from pathlib import Path


def approve_everybody(bundle: Path) -> None:
    """Alter the bundle at this place so that nearly every applicant is approved."""
    policy = bundle / "policy.json"
    _rewrite(policy, json.dumps({**json.loads(policy.read_text()), "cut_off": 0.999999}))


def fail_on_everybody(bundle: Path) -> None:
    """Alter the bundle at this place so that a feature has no result for any applicant."""
    formula = bundle / "contract.json"
    text = formula.read_text()
    altered = text.replace("requested_amount / nullif(annual_income, 0)", "ln(requested_amount - 1000000)")
    if altered == text:
        raise ValueError(f"the formula to alter is not in {formula}")
    _rewrite(formula, altered)


def _rewrite(path: Path, text: str) -> None:
    manifest = path.with_name("bundle.json")
    for each in (path, manifest):
        each.chmod(0o644)
    path.write_text(text)
    listed = json.loads(manifest.read_text())
    listed["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(listed))
