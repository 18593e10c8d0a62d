"""ONNX files that ask for more than they are: memory, time, other files. Each is refused in a line."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from dfd_train.calibration.card import INPUT, METADATA_KEY, OUTPUT, DetectorCard
from dfd_train.errors import UserError
from dfd_train.predict import onnx_trial
from dfd_train.predict.onnx_trial import try_onnx

CARD = DetectorCard(
    model="m",
    input_size=8,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    threshold=0.5,
    temperature=1.0,
    calibrated_on="nothing",
    demonstration=False,
    margin=0.3,
    border="clip",
    crop_size=0,
    checkpoint_sha256="",
)


def model(nodes: list, initializers: list = (), functions: list = (), sparse: list = ()) -> onnx.ModelProto:
    """A network whose logits are the mean of the image and of `extra`, which the nodes make."""
    image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, 8, 8])
    logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1])
    end = [
        helper.make_node("ReduceMean", ["extra"], ["one"], keepdims=0),
        helper.make_node("Flatten", [INPUT], ["flat"]),
        helper.make_node("ReduceMean", ["flat", "axis"], ["mean"], keepdims=1),
        helper.make_node("Add", ["mean", "one"], [OUTPUT]),
    ]
    axis = numpy_helper.from_array(np.array([1]), "axis")
    graph = helper.make_graph(
        [*nodes, *end], "g", [image], [logits], [axis, *initializers], sparse_initializer=list(sparse)
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=9)
    helper.set_model_props(made, {METADATA_KEY: CARD.to_json()})
    return made


def harmless() -> onnx.ModelProto:
    return model(
        [helper.make_node("Identity", ["w"], ["extra"])], [numpy_helper.from_array(np.ones(4, "f4"), "w")]
    )


def shape(*sides: int) -> list:
    return [numpy_helper.from_array(np.array(sides, np.int64), "sides")]


def filled() -> onnx.ModelProto:
    return model([helper.make_node("ConstantOfShape", ["sides"], ["extra"])], shape(1 << 10, 1 << 20))


def expanded() -> onnx.ModelProto:
    one = numpy_helper.from_array(np.ones(1, "f4"), "w")
    return model([helper.make_node("Expand", ["w", "sides"], ["extra"])], [one, *shape(1 << 10, 1 << 20)])


def sparse() -> onnx.ModelProto:
    values = helper.make_tensor("extra", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("places", TensorProto.INT64, [1], [5])
    return model([], sparse=[helper.make_sparse_tensor(values, places, [1 << 34])])


def endless() -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Sin", ["before"], ["after"]),
        ],
        "body",
        [
            info("turn", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("before", TensorProto.FLOAT, [1]),
        ],
        [info("on", TensorProto.BOOL, []), info("after", TensorProto.FLOAT, [1])],
    )
    values = [
        numpy_helper.from_array(np.array(1 << 60), "turns"),
        numpy_helper.from_array(np.array(True), "begin"),
        numpy_helper.from_array(np.ones(1, "f4"), "w"),
    ]
    return model([helper.make_node("Loop", ["turns", "begin", "w"], ["extra"], body=body)], values)


def functions_of_functions() -> onnx.ModelProto:
    """Twelve levels, each of which calls the next one eight times."""
    made = []
    for level in range(12):
        names = ["x", *(f"v{i}" for i in range(8))]
        kind, domain = ("Sin", "") if level == 11 else (f"f{level + 1}", "own")
        nodes = [helper.make_node(kind, [names[i]], [names[i + 1]], domain=domain) for i in range(8)]
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        made.append(helper.make_function("own", f"f{level}", ["x"], ["v7"], nodes, opsets))
    one = [numpy_helper.from_array(np.ones(1, "f4"), "w")]
    return model([helper.make_node("f0", ["w"], ["extra"], domain="own")], one, made)


def other_files() -> onnx.ModelProto:
    made = harmless()
    tensor = made.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../../etc/passwd"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return made


def other_files_deep_down() -> onnx.ModelProto:
    made = endless()
    constant = helper.make_node("Constant", [], ["c"], value=other_files().graph.initializer[1])
    made.graph.node[0].attribute[0].g.node.append(constant)
    return made


def other_size_than_its_dims() -> onnx.ModelProto:
    made = harmless()
    made.graph.initializer[1].dims[0] = 1 << 40
    return made


def test_a_harmless_one_is_let_through(tmp_path) -> None:
    onnx.save(harmless(), str(tmp_path / "a.onnx"))
    try_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (filled, "takes more than"),
        (expanded, "takes more than"),
        (sparse, "takes more than|not a readable"),
        (endless, "takes more than"),
        (functions_of_functions, "takes more than|not a readable"),
        (other_files, "other files"),
        (other_files_deep_down, "other files"),
        (other_size_than_its_dims, "not a readable"),
    ],
)
def test_what_asks_for_more_than_it_is(made: Callable, said: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(onnx_trial, "FREE_SECONDS", 3)
    monkeypatch.setattr(onnx_trial, "FREE_BYTES", 1 << 30)
    peak, watch = 0, psutil.Process.memory_info

    def watched(process):
        nonlocal peak
        peak = max(peak, watch(process).rss)
        return watch(process)

    monkeypatch.setattr(psutil.Process, "memory_info", watched)
    path = tmp_path / "a.onnx"
    path.write_bytes(made().SerializeToString())
    assert path.stat().st_size < 10_000
    began = time.monotonic()
    with pytest.raises(UserError, match=rf"a\.onnx: .*({said})") as refused:
        try_onnx(path)
    print(f"{made.__name__}: {time.monotonic() - began:.0f} s, {peak / 1e9:.1f} GB: {refused.value}")
    assert peak < 3e9


def test_a_text_in_its_place(tmp_path) -> None:
    (tmp_path / "a.onnx").write_text("no model")
    with pytest.raises(UserError, match=r"a\.onnx: not a readable ONNX file"):
        try_onnx(Path(tmp_path / "a.onnx"))
