#!/usr/bin/env bash
# Runs each fuzz target of the module for the time in its argument (10s when there is none), one after another: go test
# takes one target at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
go=${GO:-go}

grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file _ match; do
	target=${match#func }
	echo "fuzz $target in $(dirname "$file") for $time"
	"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$(dirname "$file")" </dev/null
done
