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
mkdir -p "$clients"
python3 -m venv --clear "$clients/venv"
"$clients/venv/bin/pip" install --quiet --disable-pip-version-check "$python_client"
npm install --silent --no-audit --no-fund --no-save --prefix "$clients" "$node_client"
echo "$wanted" > "$clients/installed"
