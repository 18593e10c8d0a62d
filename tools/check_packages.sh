#!/usr/bin/env bash
# `make packages`: builds each package as wheel and sdist, checks both, and walks from footage to an exported network with
# each package, and each extra, alone in a fresh environment; on Python 3.11 and 3.12, which must be there, or on those
# named: tools/check_packages.sh python3.13 /opt/python/bin/python3.12. What one environment writes the next reads: packages meet in files only.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH="$PWD/.venv/bin:$PATH"
checked=()

step() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

# try PACKAGE[EXTRAS] COMMAND…: the command in a fresh environment with only that package, from the wheel.
# Exit status 1 of ffpp-prep is allowed: some videos failed, as those of the sample should.
try() {
    local package=$1 status=0
    shift
    step "$name  $package  $*"
    rm -rf "$work/env"
    uv venv --quiet --python "$python" "$work/env"
    uv pip install --quiet --python "$work/env/bin/python" --find-links "$work/dist" "$package"
    (cd "$here" && env -u PYTHONPATH PATH="$work/env/bin:/usr/bin:/bin" "$@") || status=$?
    [ "$status" = 0 ] || [ "$status" = 1 -a "$1" = ffpp-prep ] || { echo "exit status $status"; exit 1; }
    checked+=("$name $package")
}

[ "$#" -gt 0 ] || set -- python3.11 python3.12
for name; do
    "$name" -c '' 2>/dev/null || { echo "$name is not here: name others, as in  $0 python3.13"; exit 1; }
done

for package in reseption-models ffpp-prep dfd-train; do
    step "build $package"
    # the wheel from the sdist, so that what is missing there shows
    python -m build --installer uv --outdir "$work/dist" "packages/$package" >"$work/build.log" 2>&1 ||
        { cat "$work/build.log"; exit 1; }
done
twine check --strict "$work"/dist/*
step "notices in the wheel of ffpp-prep, beside the detector's weights"
held=$(python -m zipfile -l "$work"/dist/ffpp_prep-*.whl)
for notice in LICENSE LICENSE-MIT-face-api LICENSE-APACHE-2.0 PROVENANCE.md; do
    grep "/$notice " <<<"$held"
done

network='import torch, reseption_models as r
r.save_pretrained(r.create_model("reseption_v1_tiny"), "network")
print(r.from_pretrained("network")(torch.zeros(1, 3, 128, 128)).shape)'
timm='import timm, reseption_models as r; r.register_timm(); print(timm.create_model("reseption_v1_tiny").num_features)'
tensorflow='import numpy as np; from ffpp_prep.detector import load_detector
print(load_detector("tensorflow").detect(np.zeros((1, 64, 64, 3), np.uint8))[0].scores[0])'
torch=${tensorflow/\"tensorflow\"/\"torch\"}
dask='from distributed import LocalCluster; import ffpp_prep
if __name__ == "__main__":
    ffpp_prep.scan("clips", "by-dask")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        print(ffpp_prep.detect_boxes("by-dask", scheduler=cluster.scheduler_address))'
few='import sys; from pathlib import Path; from small_sets import ffpp_set; ffpp_set(*map(Path, sys.argv[1:]))'
clip=data/manipulated_sequences/FaceSwap/c23/videos/022_024.mp4
for name; do
    python=$(command -v "$name")
    here=$work/$name
    mkdir -p "$here"
    try reseption-models python -c "$network"
    try 'reseption-models[onnx]' python -m reseption_models export reseption_v1_tiny -o net.onnx
    try 'reseption-models[timm]' python -c "$timm"
    try 'reseption-models[hub]' python -c 'import huggingface_hub, reseption_models'
    try 'ffpp-prep[sample]' ffpp-prep sample data
    mkdir -p "$here/clips/fake" && cp "$here/$clip" "$here/clips/fake/"
    PYTHONPATH=tests/docs python -c "$few" "$here/data" "$here/few"
    try ffpp-prep ffpp-prep extract few -o work --detect-every 10
    try 'ffpp-prep[decord]' ffpp-prep boxes clips -o by-decord --decoder decord
    echo "$dask" >"$here/dask.script.py"
    try 'ffpp-prep[dask]' python dask.script.py
    try 'ffpp-prep[tensorflow]' python -c "$tensorflow"
    try 'ffpp-prep[torch]' python -c "$torch"
    small=(--set model.name=reseption_v1_tiny --epochs 1 --max-steps 1 --batch-size 4 --val-frames 1 --test-frames 1)
    try dfd-train dfd-train run --data work --out run "${small[@]}"
    try dfd-train dfd-train evaluate run --split test --frames 1
    try dfd-train dfd-train report run
    try 'dfd-train[tensorboard]' dfd-train run --data work --out logged --set train.tensorboard=true "${small[@]}"
    try dfd-train dfd-train predict run "$clip" --out predicted
    try 'dfd-train[explain]' dfd-train explain run --method lime --samples 20 --out explained
    try 'dfd-train[onnx]' dfd-train export run --out detector.onnx
done
step "${#checked[@]} fresh environments, all well:"
printf '%s\n' "${checked[@]}"
