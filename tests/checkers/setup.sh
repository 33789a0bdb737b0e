#!/usr/bin/env bash
# Installs the independent programs that check what Tollbook answers and exports into .tollbook/checkers, once.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
checkers="$root/.tollbook/checkers"
requirements="$root/tests/checkers/requirements.txt"

if [[ -f "$checkers/installed" ]] && cmp -s "$checkers/installed" "$requirements"; then
    exit 0
fi
python3 -m venv --clear "$checkers/venv"
# A registry that is slow or drops a connection is asked again.
for pause in 2 10 30 0; do
    "$checkers/venv/bin/pip" install --quiet --disable-pip-version-check --retries 5 --timeout 60 -r "$requirements" && break
    [[ $pause = 0 ]] && exit 1
    echo "setup: failed, trying again in $pause s" >&2
    sleep "$pause"
done
cp "$requirements" "$checkers/installed"
