#!/usr/bin/env bash
# Product code of each crate: the lines of src/ without test modules, comments and blank lines. Everybody compiles the daily
# program's lines before the suite helps them.
#
#   scripts/count_lines.sh [REVISION]    # without one: the working tree
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
revision=${1-}

files() {
  if [ -n "$revision" ]; then git ls-tree -r --name-only "$revision"; else git ls-files --cached --others --exclude-standard; fi |
    grep -E '^(crates/[^/]+|xtask)/src/.*\.rs$' | grep -vE '^crates/testkit/|(^|/)tests(/|\.rs$)'
}
text() { if [ -n "$revision" ]; then git show "$revision:$1"; else cat "$1" 2>/dev/null || true; fi; }

total=0 crate='' lines=0
print() { [ -z "$crate" ] || printf '%6d  %s\n' "$lines" "$crate"; }
while read -r file; do
  of=${file%%/src/*}
  if [ "$of" != "$crate" ]; then
    print
    crate=$of lines=0
  fi
  # A module of tests that stands in a file of its own does not end the file that names it.
  count=$(text "$file" | awk '
    /^#\[cfg\((test|all\(test)/ { getline next_line; if (next_line ~ /\{[ \t]*$/) ended = 1; next }
    !ended && !/^[ \t]*(\/\/|$)/ { n++ }
    END { print n + 0 }')
  lines=$((lines + count)) total=$((total + count))
done < <(files | sort)
print
printf '%6d  in all\n' "$total"
