#!/usr/bin/env bash
# Installs the foreign ClickHouse clients that the engine is tested with into .tollbook/clients, once.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
clients="$root/.tollbook/clients"
python_client=clickhouse-connect==1.12.0
node_client=@clickhouse/client@1.23.1
wanted="$python_client $node_client"

if [[ -f "$clients/installed" && "$(cat "$clients/installed")" == "$wanted" ]]; then
    exit 0
fi
# A registry that is slow or drops a connection is asked again.
again() {
    for pause in 2 10 30; do
        "$@" && return
        echo "setup: failed, trying again in $pause s: $*" >&2
        sleep "$pause"
    done
    "$@"
}

mkdir -p "$clients"
python3 -m venv --clear "$clients/venv"
again "$clients/venv/bin/pip" install --quiet --disable-pip-version-check --retries 5 --timeout 60 "$python_client"
again npm install --loglevel=error --no-audit --no-fund --no-save --prefix "$clients" "$node_client"
echo "$wanted" > "$clients/installed"
