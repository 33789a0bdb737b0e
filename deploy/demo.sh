#!/usr/bin/env bash
# What `make demo` runs: Tollbook on this machine with LiteLLM's prices and a day of made-up traffic, what it cost by
# team and by model, and the proof of one request. Serves until Ctrl-C. Safe to run again: it adds to what is there.
#
#   TOLLBOOK_LISTEN      where to serve, 127.0.0.1:8080 unless set
#   TOLLBOOK_DATA        folder of the data, ./tollbook-data unless set
#   TOLLBOOK_BINARY      the program, target/release/tollbook unless set
#   TOLLBOOK_DEMO_EXIT   1 stops by itself after the last line
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tollbook=${TOLLBOOK_BINARY:-target/release/tollbook}
data=${TOLLBOOK_DATA:-tollbook-data}
listen=${TOLLBOOK_LISTEN:-127.0.0.1:8080}
ends=${TOLLBOOK_DEMO_EXIT:-0}
url=http://$listen
events=20000
rate=5000
# What else the caller has set may name another service.
unset "${!TOLLBOOK_@}"
export TOLLBOOK_DATA=$data

say() { printf '\n==> %s\n' "$*"; }

start() {
  # The first start prints the admin token, so the log is for its owner alone.
  (umask 077 && mkdir -p "$data" && : > "$data/up.log")
  "$tollbook" up --listen "$listen" > "$data/up.log" 2>&1 &
  service=$!
  trap stop EXIT
  trap 'exit 130' INT TERM
  until grep -q '^Tollbook is up' "$data/up.log"; do
    kill -0 "$service" 2> /dev/null || {
      grep -v '^{' "$data/up.log" >&2 || tail -n 5 "$data/up.log" >&2
      echo "demo: Tollbook did not start; its log is $data/up.log. Where the address is taken, choose another: TOLLBOOK_LISTEN=127.0.0.1:8081 make demo" >&2
      exit 1
    }
    sleep 0.1
  done
}

# shellcheck disable=SC2317 # reached by the trap
stop() {
  local status=$?
  trap '' INT TERM
  if kill -TERM "$service" 2> /dev/null; then
    wait "$service" || { status=$?; echo "demo: Tollbook did not stop cleanly; its log is $data/up.log" >&2; }
  fi
  exit "$status"
}

[ -x "$tollbook" ] || { echo "demo: there is no $tollbook: run it by 'make demo', which builds it" >&2; exit 1; }

say "start: everything in one process, the data in $data"
start

say "import the prices of LiteLLM's map (the rest of the report: $data/import.log)"
map=$(ls schemas/prices/litellm/model_prices_*.json)
version=${map##*_}
# The reasons why some of its prices cannot be used are below the first two lines.
"$tollbook" prices import "$map" --map-version "${version%.json}" > "$data/import.log"
sed -n '1,2p' "$data/import.log"

say "send $events events of the last 24 hours, $rate a second, and compare the ledger with what was sent"
"$tollbook" emit --count "$events" --rate "$rate" --seed "$(date +%s)" --errors 4% --verify

from=$(date -u -d '1 day ago' +%F)
say "spend by team since $from, the ten largest"
"$tollbook" spend --from "$from" --group-by team --top 10

say "spend by provider and model, the ten largest"
"$tollbook" spend --from "$from" --group-by provider,model --top 10

say "the proof of one request that fell back to another model"
proof=$("$tollbook" request --newest-where attempt_kind=fallback --from "$from")
echo "$proof"
request=$(sed -n 's/^request //p' <<< "$proof")

say "Tollbook is up at $url; its admin token is in $data/admin.token"
authorization="-H \"Authorization: Bearer \$(cat $data/admin.token)\""
cat << TEXT
Ask for more:
  curl $authorization '$url/v1/spend?group_by=customer&interval=day&from=$from'
  curl $authorization '$url/v1/requests/$request'
Send an event:
  curl $authorization -H 'Content-Type: application/json' '$url/v1/events' -d '{
    "event_id": "my-first-event", "request_id": "my-first-request", "occurred_at": "$(date -u +%FT%TZ)",
    "key": "my-key", "team": "my-team", "endpoint_family": "openai", "provider": "openai", "model": "gpt-5.4-mini",
    "usage": {"prompt_tokens": 1200, "completion_tokens": 80, "total_tokens": 1280}}'
Or with the program itself: $tollbook spend --group-by team
TEXT

[ "$ends" = 1 ] && exit 0
echo "Ctrl-C stops it."
asked=0
trap 'asked=1' INT TERM
wait "$service" || true
[ "$asked" = 1 ] || { echo "demo: Tollbook ended by itself; its log is $data/up.log" >&2; exit 1; }
echo "Stopping: posting what was sent ..."
exit 0
