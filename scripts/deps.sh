#!/usr/bin/env bash
# Installs the programs named in its arguments (compiler, postgres, redis, chromium) where they are missing: with apt-get
# where it is there and may be used without a password. Otherwise it says what to install and fails.
set -euo pipefail

# have PROGRAM: is it on this machine?
have() {
	case $1 in
	compiler) command -v "${CC:-gcc}" || command -v clang ;; # the race detector needs cgo
	postgres) have_postgres ;;
	redis) command -v redis-server || command -v valkey-server ;;
	chromium) command -v chromium || command -v chromium-browser || command -v google-chrome || have_mac_chrome ;;
	*)
		echo "deps.sh: unknown program: $1" >&2
		exit 2
		;;
	esac >/dev/null 2>&1
}

# Packages of Postgres put the server's programs in a folder of their own, outside of PATH.
have_postgres() {
	local folder
	for folder in "$(dirname "$(command -v postgres || echo /nowhere/postgres)")" /usr/lib/postgresql/*/bin \
		/usr/pgsql-*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
		if [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ]; then
			return 0
		fi
	done
	return 1
}

have_mac_chrome() {
	[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

# debian PROGRAM: the packages of Debian and Ubuntu that hold it.
debian() {
	case $1 in
	compiler) echo gcc libc6-dev ;;
	postgres) echo postgresql ;;
	redis) echo redis-server ;;
	chromium) echo chromium ;;
	esac
}

# advice PROGRAM: what to install, for people.
advice() {
	case $1 in
	compiler) echo "a C compiler (Debian, Ubuntu: gcc libc6-dev; Fedora: gcc; macOS: xcode-select --install)" ;;
	postgres) echo "the PostgreSQL server (Debian, Ubuntu: postgresql; Fedora: postgresql-server; macOS: brew install postgresql)" ;;
	redis) echo "redis-server (Debian, Ubuntu: redis-server; Fedora: valkey; macOS: brew install redis)" ;;
	chromium) echo "Chromium or Chrome (Debian: chromium; Fedora: chromium; macOS: brew install --cask google-chrome)" ;;
	esac
}

# may_install: is there an apt-get that we may use? Sets $sudo.
may_install() {
	command -v apt-get >/dev/null || return 1
	if [ "$(id -u)" -eq 0 ]; then
		sudo=()
		return 0
	fi
	sudo=(sudo -n)
	command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

apt() {
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"
}

# Debian's package makes and starts a cluster for the whole machine when it is installed. We need its programs only, so
# the setting is off while we install, and then as it was.
install_postgres() {
	local conf=/etc/postgresql-common/createcluster.conf
	apt install --no-install-recommends postgresql-common
	"${sudo[@]}" cp -p "$conf" "$conf.socksync"
	echo "create_main_cluster = false" | "${sudo[@]}" tee -a "$conf" >/dev/null
	local status=0
	apt install --no-install-recommends "$(debian postgres)" || status=$?
	"${sudo[@]}" mv "$conf.socksync" "$conf"
	return "$status"
}

install() {
	echo "installing with apt-get: $*"
	apt update
	local program packages=()
	for program in "$@"; do
		if [ "$program" = postgres ]; then
			install_postgres
		else
			read -ra names <<<"$(debian "$program")"
			packages+=("${names[@]}")
		fi
	done
	if [ "${#packages[@]}" -gt 0 ]; then
		apt install --no-install-recommends "${packages[@]}"
	fi
}

missing=()
for program in "$@"; do
	have "$program" || missing+=("$program")
done
if [ "${#missing[@]}" -gt 0 ] && may_install; then
	install "${missing[@]}" </dev/null
fi
failed=0
for program in "${missing[@]}"; do
	if ! have "$program"; then
		echo "missing: install $(advice "$program")" >&2
		failed=1
	fi
done
exit "$failed"
