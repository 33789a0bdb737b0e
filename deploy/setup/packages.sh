# System packages: finds which commands are missing and installs their Debian packages, and only those.
# Sourced by run.sh.

# missing_packages PART...: the Debian package of each command that is not there.
missing_packages() {
  local part
  for part in "$@"; do
    case $part in
      engine)
        # g++, make and perl build librdkafka and OpenSSL, which are compiled in.
        lacks g++ && echo g++
        lacks make && echo make
        # A minimal system has a perl without the modules that OpenSSL's build asks for.
        perl -MFindBin -MIPC::Cmd -MFile::Compare -MTime::Piece -e 1 2> /dev/null || echo perl
        lacks pkg-config && echo pkg-config
        lacks curl && echo curl
        lacks npm && echo npm
        [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
        ;;
      kafka)
        # Java 17 in Debian 12, 21 in Debian 13.
        java_is_new_enough || echo default-jre-headless
        lacks mvn && echo maven
        ;;
      clients)
        lacks npm && echo npm
        python3 -c 'import ensurepip, venv' 2> /dev/null || echo python3-venv
        ;;
    esac
  done | sort -u
}

lacks() { ! command -v "$1" > /dev/null; }

java_is_new_enough() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') || return 1
  [ "${version:-0}" -ge 17 ]
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  lacks apt-get && fail "not installed: ${missing[*]} (names of Debian packages)" "install them with this system's package manager"

  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    lacks sudo && fail "not installed: ${missing[*]}, and installing needs root" "as root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "installing system packages: ${missing[*]}"
  "${root[@]}" apt-get update -q > "$home/apt.log" 2>&1 || apt_failed "apt-get update"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" \
    >> "$home/apt.log" 2>&1 || apt_failed "apt-get install ${missing[*]}"
}

apt_failed() {
  tail -n 15 "$home/apt.log" >&2
  fail "$1 (the whole log: $home/apt.log)" "read the lines above; without network or the right to install, do it by hand"
}
