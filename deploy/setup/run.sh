#!/usr/bin/env bash
# Fetches what Tollbook needs beside Rust: system packages, the ClickHouse engine as a library, a Kafka broker and
# database clients for the tests. Everything but the system packages lands in .tollbook/ of this checkout.
# Safe to run again: what is there already is left alone.
#
#   deploy/setup/run.sh engine     enough to build and run Tollbook, and for the demo
#   deploy/setup/run.sh kafka      a real broker, for the tests
#   deploy/setup/run.sh clients    foreign ClickHouse clients and checkers of the API, for the tests
#   deploy/setup/run.sh all        the three
set -euo pipefail

setup=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$setup/../.." && pwd)
home=$repo/.tollbook

say() { printf 'setup: %s\n' "$*"; }
fail() { # fail WHAT REMEDY
  printf 'setup: failed: %s\n       remedy: %s\n' "$1" "$2" >&2
  exit 1
}
# Said by the parts below wherever a download fails.
network="check that this machine reaches the package registry (behind a proxy: HTTPS_PROXY), then run this again"

source "$setup/packages.sh"
source "$setup/engine.sh"
source "$setup/kafka.sh"
source "$setup/clients.sh"

part=${1:-all}
case $part in
  engine | kafka | clients | all) ;;
  *) fail "unknown part '$part'" "one of: engine, kafka, clients, all" ;;
esac
[ "$(uname -s)" = Linux ] || fail "this is $(uname -s)" "run on Linux, x86_64 or arm64; Debian 12 and 13 are what is tried"

# Two runs in one checkout wait for each other. Package caches stay inside the checkout too.
mkdir -p "$home/cache"
exec 9> "$home/setup.lock"
flock 9
export npm_config_cache=$home/cache/npm npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false
export PIP_CACHE_DIR=$home/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1

# npm and pip bring certificates of their own; the system's also has those of a company's proxy.
bundle=/etc/ssl/certs/ca-certificates.crt
trust_system() {
  [ -r "$bundle" ] || return 0
  export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$bundle} PIP_CERT=${PIP_CERT:-$bundle}
}

[ "$part" = all ] && parts="engine kafka clients" || parts=$part
# shellcheck disable=SC2086 # a list of words
install_packages $parts
trust_system # after ca-certificates is there
for one in $parts; do "install_$one"; done
