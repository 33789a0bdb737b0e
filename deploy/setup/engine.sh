# The ClickHouse engine: libchdb.so out of its npm package, pinned by version and checksum. Sourced by run.sh.

engine_version=26.7.3-stable.1

install_engine() {
  local package tarball_integrity library_sha256
  case $(uname -m) in
    x86_64)
      package=@chdb/lib-linux-x64-gnu
      tarball_integrity=sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==
      library_sha256=36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5
      ;;
    aarch64)
      # No checksum is pinned here: npm itself checks the package against what the registry states.
      package=@chdb/lib-linux-arm64-gnu
      tarball_integrity=
      library_sha256=
      ;;
    *) fail "the engine has no build for $(uname -m)" "run on x86_64 or arm64, or point tollbook at a ClickHouse server" ;;
  esac

  local library=$home/engine/libchdb.so
  mkdir -p "$home/engine"
  engine_is_installed "$library" "$library_sha256" && return 0

  say "fetching the ClickHouse engine $engine_version ($package from npm, 166 MB)"
  local work
  work=$(mktemp -d "$home/engine/fetch.XXXXXX")
  # shellcheck disable=SC2064 # the folder's name as it is now
  trap "rm -rf '$work'" EXIT
  # Its own cache, so that the package is not kept a second time.
  npm_config_cache=$work/npm npm pack --loglevel error --pack-destination "$work" "$package@$engine_version" > "$work/log" 2>&1 || {
    tail -n 15 "$work/log" >&2
    fail "npm pack $package@$engine_version" "$network"
  }
  local tarball
  tarball=$(echo "$work"/*.tgz)
  if [ -n "$tarball_integrity" ]; then
    local integrity
    integrity=sha512-$(node -e 'const hash = require("crypto").createHash("sha512");
      require("fs").createReadStream(process.argv[1]).pipe(hash).on("finish", () => console.log(hash.digest("base64")))' "$tarball")
    [ "$integrity" = "$tarball_integrity" ] ||
      fail "the package has checksum $integrity, expected $tarball_integrity" "do not use it; find out what changed it on the way"
  else
    say "no checksum is pinned for $package: npm checked it against the registry's own"
  fi
  tar -xzOf "$tarball" package/libchdb.so > "$work/libchdb.so" ||
    fail "unpacking libchdb.so from $package" "about 600 MB must be free in $home"
  chmod 755 "$work/libchdb.so"
  mv -f "$work/libchdb.so" "$library"
  rm -rf "$work"
  trap - EXIT
  engine_is_installed "$library" "$(sha256sum < "$library" | cut -d ' ' -f 1)"
  say "the engine is in $library"
}

# True where the library is this version. Hashing takes seconds, so its result is kept beside the library with size and time.
engine_is_installed() { # engine_is_installed LIBRARY SHA256-OR-EMPTY
  local library=$1 sha256=$2 state
  [ -f "$library" ] || return 1
  state="$engine_version $(stat -c '%s %Y' "$library")"
  [ "$(cat "$library.installed" 2> /dev/null)" = "$state" ] && return 0
  [ -n "$sha256" ] || return 1
  [ "$(sha256sum < "$library" | cut -d ' ' -f 1)" = "$sha256" ] || return 1
  echo "$state" > "$library.installed"
}
