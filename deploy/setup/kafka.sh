# A Kafka broker for the tests: its jars from Maven, a storage folder formatted once and copied by each broker, and a
# class-data archive that halves its start. Sourced by run.sh.

install_kafka() {
  local kafka=$home/kafka state
  state=$(kafka_state)
  [ "$(cat "$kafka/installed" 2> /dev/null)" = "$state" ] && return 0
  say "fetching the Kafka broker for the tests (from Maven, 43 MB)"
  rm -rf "$kafka"
  mkdir -p "$kafka"

  mvn -q -B -ntp -Dmaven.repo.local="$home/cache/maven" -f "$setup/kafka/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$kafka/libs" > "$kafka/maven.log" 2>&1 || {
    tail -n 15 "$kafka/maven.log" >&2
    fail "Maven could not fetch the broker (the whole log: $kafka/maven.log)" "$network"
  }
  cp "$setup"/kafka/{jvm.args,log4j2.properties,server.properties} "$kafka/"
  format_storage "$kafka"
  archive_classes "$kafka"
  echo "$state" > "$kafka/installed"
  say "the broker is in $kafka"
}

# What the folder was made from: a change in any of it makes it anew. The archive fits one Java and one place only.
kafka_state() {
  { cat "$setup"/kafka/* "$setup/kafka.sh"; java -version 2>&1; echo "$home"; } | sha256sum | cut -d ' ' -f 1
}

format_storage() {
  local kafka=$1
  { cat "$kafka/server.properties"; broker_addresses 1 2 "$kafka/storage"; } > "$kafka/format.properties"
  java "@$kafka/jvm.args" -cp "$kafka/libs/*" kafka.tools.StorageTool format \
    -c "$kafka/format.properties" -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=')" > "$kafka/format.log" 2>&1 || {
    tail -n 15 "$kafka/format.log" >&2
    fail "formatting the broker's storage (the whole log: $kafka/format.log)" "the lines above are Kafka's own; a full disk is a usual cause"
  }
  rm "$kafka/format.properties"
}

# Runs the broker once so that Java writes down the classes it loads.
archive_classes() {
  local kafka=$1 broker waited=0
  local trial=$kafka/trial
  mkdir "$trial"
  cp -r "$kafka/storage" "$trial/storage"
  { cat "$kafka/server.properties"; broker_addresses "$(free_port)" "$(free_port)" "$trial/storage"; } > "$trial/server.properties"
  java "@$kafka/jvm.args" -Dlog4j2.configurationFile="$kafka/log4j2.properties" -XX:ArchiveClassesAtExit="$kafka/classes.jsa" \
    -cp "$kafka/libs/*" kafka.Kafka "$trial/server.properties" > "$kafka/trial.log" 2>&1 &
  broker=$!
  until grep -q 'Kafka Server started' "$kafka/trial.log"; do
    kill -0 "$broker" 2> /dev/null && [ "$waited" -lt 600 ] || {
      tail -n 15 "$kafka/trial.log" >&2
      kill -9 "$broker" 2> /dev/null || true
      fail "the broker did not start (the whole log: $kafka/trial.log)" "the lines above are the broker's own; it needs 150 MB of memory and two free ports"
    }
    sleep 0.1
    waited=$((waited + 1))
  done
  kill "$broker"
  wait "$broker" || true
  rm -rf "$trial"
}

broker_addresses() { # broker_addresses PORT CONTROLLER-PORT STORAGE
  printf '\n'
  echo "listeners=BROKER://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2"
  echo "advertised.listeners=BROKER://127.0.0.1:$1"
  echo "controller.quorum.voters=1@127.0.0.1:$2"
  echo "log.dirs=$3"
}

free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); do
    (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null || { echo "$port"; return; }
  done
}
