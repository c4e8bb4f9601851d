#!/bin/sh
# Runs make targets one after the other, all of them even if one fails, and ends
# with the minutes that each took and one line in the form of `go test`:
# ok, or FAIL, the module, and the seconds in total.
set -u
cd "$(dirname "$0")/.."

minutes() { awk -v s="$1" 'BEGIN { printf "%.1f min", s / 60 }'; }

begin=$(date +%s)
verdict=ok
summary=
for part in "$@"; do
	echo "--- $part"
	start=$(date +%s)
	if "${MAKE:-make}" --no-print-directory "$part"; then
		outcome=passed
	else
		outcome=FAILED
		verdict=FAIL
	fi
	summary="$summary$(printf '%-8s %-7s %s' "$part" "$outcome" "$(minutes $(($(date +%s) - start)))")
"
done

printf -- '---\n%s' "$summary"
printf '%s\tgithub.com/rutter-gateway/rutter\t%d.000s\n' "$verdict" $(($(date +%s) - begin))
[ "$verdict" = ok ]
