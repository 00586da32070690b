#!/usr/bin/env bash
# Runs govulncheck, whose command line is in the arguments. It fails when the code calls something with a known
# vulnerability, but not when the database of vulnerabilities cannot be reached: then it says so.
set -uo pipefail
cd "$(dirname "$0")/.."

if output=$("$@" 2>&1); then
	status=0
else
	status=$?
fi
echo "$output"
if [ "$status" -ne 0 ] && grep -q '^govulncheck: fetching vulnerabilities:' <<<"$output"; then
	echo "vuln: the database of vulnerabilities could not be reached, so nothing was checked"
	exit 0
fi
exit "$status"
