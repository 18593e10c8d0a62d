#!/usr/bin/env bash
# The whole path on sample footage: `make demo`. Each command is shown before it runs; run again, it goes on.
set -euo pipefail
out=${1:-demo-output}
tools=$(dirname "$0")
started=$SECONDS

step() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

if [ ! -e "$out/data/SAMPLE.json" ]; then
    step ffpp-prep sample "$out/data"
fi
# Exit status 1: some videos failed, as they should here: the sample has a truncated and an empty file.
step ffpp-prep extract "$out/data" -o "$out/work" || [ $? -eq 1 ]
step dfd-train run --config "$tools/demo.toml" --data "$out/work" --out "$out/run"
step dfd-train evaluate "$out/run" --split test
step dfd-train report "$out/run"
echo
echo "One video, as somebody with a suspicious clip would: a page with the score, when, and which face."
step dfd-train predict "$out/run" "$out/data/manipulated_sequences/FaceSwap/c23/videos/022_024.mp4" \
    --out "$out/predictions"
echo
echo "The network above is narrower and its input smaller than the thesis's, to fit in minutes on a CPU."
echo "The full Reseption V1 at 299x299, for a few steps:"
step dfd-train run --config "$tools/demo.toml" --data "$out/work" --out "$out/full-size" \
    --set 'model.arguments={}' --set model.input_size=299 --epochs 1 --max-steps 3 --batch-size 4 --val-frames 1

printf '\nDone in %d min %02d s. Open %s and %s\n' $(((SECONDS - started) / 60)) \
    $(((SECONDS - started) % 60)) "$out/run/report.html" "$out/predictions/index.html"
echo "The control with shuffled labels, which should find nothing:  make demo-control"
