"""A bundle with another cut-off and checksums that fit it: whole in itself, and not what was registered."""

import hashlib
import json
from pathlib import Path


def approve_everybody(bundle: Path) -> None:
    """Alter the bundle at this place so that nearly every applicant is approved."""
    policy, manifest = bundle / "policy.json", bundle / "bundle.json"
    for path in (policy, manifest):
        path.chmod(0o644)
    policy.write_text(json.dumps({**json.loads(policy.read_text()), "cut_off": 0.999999}))
    listed = json.loads(manifest.read_text())
    listed["files"]["policy.json"] = hashlib.sha256(policy.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(listed))
