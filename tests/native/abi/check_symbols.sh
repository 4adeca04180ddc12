#!/bin/sh
# check_symbols.sh NM LIBRARY HEADER: the functions that the header declares are those the library exports.
set -eu
declared=$(sed -n '/^GALAGO_API/,/;/p' "$3" | grep -o 'galago_[a-z_]*(' | tr -d '(' | sort -u)
exported=$("$1" -D --defined-only "$2" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort -u)
# Sanitizers export some of their own.
exported=$(printf '%s\n' "$exported" | grep -v -e '^__asan' -e '^__tsan' -e '^__ubsan' -e '^__odr_asan' || true)
if [ "$declared" != "$exported" ]; then
  printf 'declared, not exported, or the other way round:\n' >&2
  printf '%s\n' "$declared" "$exported" | sort | uniq -u >&2
  exit 1
fi
printf '%s functions declared and exported\n' "$(printf '%s\n' "$declared" | wc -l)"
