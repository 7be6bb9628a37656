# What the steps share; each reads it first. The values come from the pipeline, or from you.
set -eu
LENDER=${LENDER:-simulated}
export LOANLAKE_DEFAULT_LENDER="$LENDER"
HOME_FOLDER=${LOANLAKE_HOME:?the home that all steps share}

say() { printf '\n== %s (%s)\n' "$1" "$(date -u +%H:%M:%S)"; }

# a field of the newest registered version of the lender: version, refused_by, gate_messages
newest() {
    python3 - "$HOME_FOLDER/deployment/$LENDER/versions.json" "$1" <<'PYTHON'
import json
import sys

path, field = sys.argv[1:]
with open(path) as file:
    found = max(json.load(file), key=lambda version: version["version"])
value = found.get(field)
print(*value, sep="\n") if isinstance(value, list) else print(value)
PYTHON
}
