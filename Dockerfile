# Both commands on a processor or, with the NVIDIA container toolkit, on a GPU. docs/install.md says how to build and run it.
FROM python:3.12-slim

# Which build of torch pip takes: empty is PyPI's, with CUDA; an index of PyTorch's builds for processors makes it small.
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /opt/dfd
COPY constraints.txt ./
COPY packages packages
RUN if [ -n "$TORCH_INDEX" ]; then pip install --constraint constraints.txt --index-url "$TORCH_INDEX" torch torchvision; fi \
    && pip install --constraint constraints.txt \
        packages/reseption-models 'packages/ffpp-prep[sample]' 'packages/dfd-train[explain,onnx,serve]' \
    && useradd --create-home --uid 1000 dfd

USER 1000
WORKDIR /work
CMD ["ffpp-prep", "--help"]
