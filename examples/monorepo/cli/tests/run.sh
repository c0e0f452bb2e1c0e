#!/bin/sh
set -eu
total=$1
[ "$(printf '1\n2.5\n' | "$total")" = 3.50 ]
[ "$(printf '' | "$total")" = 0.00 ]
! printf '1\nx\n' | "$total" 2>/dev/null
echo "3 tests passed"
