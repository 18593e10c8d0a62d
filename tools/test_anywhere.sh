#!/usr/bin/env bash
# The tests of `make test` once under each condition that must not matter: one core, older instruction sets, all
# threads or one, a second load, and random orders with other seeds. Say which: tools/test_anywhere.sh CONDITION ...
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

tests() {  # SEED [pytest's arguments]
    local seed=$1
    shift
    printf '\n\033[1m%s\033[0m\n' "$condition, seed $seed"
    TEST_SEED=$seed python -m pytest -q -m "not full" --timeout 1800 -p randomly --randomly-seed="$seed" "$@"
}

[ "$#" -gt 0 ] || set -- one-core one-thread all-threads older-processor load
for condition; do
    case $condition in
        one-core) (taskset -cp 0 $BASHPID >/dev/null && tests 1 -n 2) ;;
        one-thread) OMP_NUM_THREADS=1 tests 2 -n 2 ;;
        all-threads) OMP_NUM_THREADS=$(nproc) tests 5 -n 2 ;;
        older-processor) ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell tests 3 -n 2 ;;
        load)
            for _ in $(seq "$(nproc)"); do sh -c 'while :; do :; done' & done
            trap 'kill $(jobs -p) 2>/dev/null || true' EXIT  # else its status would be the script's
            tests 4 -n 2
            kill $(jobs -p)
            ;;
        *) echo "unknown condition $condition; allowed: one-core, one-thread, all-threads, older-processor, load" >&2; exit 2 ;;
    esac
done
