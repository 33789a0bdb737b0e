# Foreign programs that check this one: ClickHouse clients of other languages for the engine's HTTP interface, and readers of
# what the API describes and exports. Sourced by run.sh.

install_clients() {
  local script
  for script in "$repo/engine/tests/clients/setup.sh" "$repo/tests/checkers/setup.sh"; do
    bash "$script" || fail "$script" "its own lines above say what; if it was the network: $network"
  done
}
