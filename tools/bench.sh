#!/usr/bin/env bash
# Every benchmark at its default size, one after another: `make bench`. Each result is a Markdown file, its command first.
set -uo pipefail
out=${1:-bench-output}
mkdir -p "$out"
failed=0
for script in benchmarks/*.py; do
    name=$(basename "$script" .py)
    printf '\n\033[1m$ python %s\033[0m\n' "$script"
    {
        printf '`python %s`\n\n' "$script"
        python "$script"
    } 2>"$out/$name.log" | tee "$out/$name.md"
    if [ "${PIPESTATUS[0]}" -ne 0 ]; then
        failed=$((failed + 1))
        tail -n 3 "$out/$name.log"
    fi
done
printf '\n%s: the results; %d failed\n' "$out" "$failed"
exit $((failed > 0))
