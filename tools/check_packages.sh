#!/usr/bin/env bash
# `make packages`: builds each package as wheel and sdist, checks both, and tries it alone in a fresh environment on
# every Python from 3.11 on that is here. Most of the time goes into installing PyTorch.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH="$PWD/.venv/bin:$PATH"
checked=()

step() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

# try PYTHON PACKAGE[EXTRAS] COMMAND…: the command in a fresh environment with only that package, from the wheel
try() {
    local python=$1 package=$2
    shift 2
    step "$(basename "$python")  $package  $*"
    rm -rf "$work/env" "$work/empty"
    mkdir "$work/empty"
    uv venv --quiet --python "$python" "$work/env"
    uv pip install --quiet --python "$work/env/bin/python" --find-links "$work/dist" "$package"
    (cd "$work/empty" && env -u PYTHONPATH PATH="$work/env/bin:/usr/bin:/bin" "$@")
    checked+=("$(basename "$python") $package")
}

for package in reseption-models ffpp-prep dfd-train; do
    step "build $package"
    # from the sdist, so that what is missing there shows
    python -m build --quiet --outdir "$work/dist" "packages/$package"
done
twine check --strict "$work"/dist/*

network='import torch, reseption_models as r; print(r.create_model("reseption_v1_tiny")(torch.zeros(1, 3, 128, 128)).shape)'
detector='import numpy as np; from ffpp_prep.detector import load_detector
import sys; print(load_detector(sys.argv[1]).detect(np.zeros((1, 64, 64, 3), np.uint8))[0].scores[0])'
for name in python3.11 python3.12 python3.13; do
    python=$(command -v "$name") && "$python" -c '' 2>/dev/null || { step "$name is not here, left out"; continue; }
    try "$python" reseption-models python -c "$network"
    try "$python" 'reseption-models[onnx]' python -m reseption_models export reseption_v1_tiny -o net.onnx
    try "$python" 'reseption-models[timm]' python -c \
        'import timm, reseption_models as r; r.register_timm(); print(timm.create_model("reseption_v1_tiny").num_features)'
    try "$python" 'reseption-models[hub]' python -c 'import huggingface_hub, reseption_models'
    try "$python" ffpp-prep ffpp-prep --help
    try "$python" ffpp-prep python -c "$detector" litert
    try "$python" 'ffpp-prep[tensorflow]' python -c "$detector" tensorflow
    try "$python" 'ffpp-prep[dask]' python -c 'import distributed, ffpp_prep'
    try "$python" 'ffpp-prep[decord]' python -c 'import decord, ffpp_prep'
    try "$python" 'ffpp-prep[sample]' ffpp-prep sample data
    try "$python" dfd-train dfd-train --help
    try "$python" dfd-train python -c 'import dfd_train.engine.train, dfd_train.report.page'
    try "$python" 'dfd-train[tensorboard]' python -c 'import tensorboardX, dfd_train'
    try "$python" 'dfd-train[predict]' python -c 'import dfd_train.predict.faces'
    try "$python" 'dfd-train[explain]' python -c 'import dfd_train.explain.attribution'
    try "$python" 'dfd-train[onnx]' dfd-train export --help
done
step "${#checked[@]} fresh environments, all well:"
printf '%s\n' "${checked[@]}"
