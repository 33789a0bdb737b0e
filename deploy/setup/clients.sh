# ClickHouse clients of other languages, with which the engine's tests check its HTTP interface. Sourced by run.sh.

install_clients() {
  local script=$repo/engine/tests/clients/setup.sh
  [ -f "$script" ] || return 0
  bash "$script" || fail "$script" "its own lines above say what; if it was the network: $network"
}
