"""The layers of an embedded TFLite file, with its own weights: what other engines build the network from."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ffpp_prep.detector.embedded import Embedded
from ffpp_prep.detector.layers import (
    INPUT,
    ChannelPad,
    Convolution,
    Enlarged,
    Floats,
    Layer,
    LayeredNetwork,
    MaxPool,
    Rectifier,
    Sum,
)

_Code = schema.BuiltinOperator
_DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
}


def read_layers(file: Embedded) -> LayeredNetwork:
    """Returns the network of a file.

    Raises:
        ValueError: the file is damaged, or has an operator that no embedded file has.
    """
    return _Graph(schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file.read(), 0))).network()


class _Graph:
    """A file's graph, whose tensors are named by their numbers."""

    def __init__(self, model: Any) -> None:
        self._model, self._graph = model, model.subgraphs[0]
        # what only changes a type or a shape is no layer: its output is named as what it reads
        self._renamed = {self._graph.inputs[0]: INPUT}

    def network(self) -> LayeredNetwork:
        layers = [layer for operator in self._graph.operators if (layer := self._layer(operator)) is not None]
        return LayeredNetwork(tuple(layers), tuple(self._name(index) for index in self._graph.outputs))

    def _name(self, tensor: int) -> str:
        return self._renamed.get(tensor, str(tensor))

    def _layer(self, operator: Any) -> Layer | None:
        code = self._model.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        options, inputs, output = operator.builtinOptions, operator.inputs, operator.outputs[0]
        name, sources = str(output), tuple(self._name(index) for index in inputs)
        if kind in (_Code.DEQUANTIZE, _Code.RESHAPE):
            self._renamed[output] = sources[0]
            return None
        if kind in (_Code.CONV_2D, _Code.DEPTHWISE_CONV_2D):
            depthwise = kind == _Code.DEPTHWISE_CONV_2D
            kernel, bias = (np.asarray(self._constant(sources[i]), np.float32) for i in (1, 2))
            kernel = np.ascontiguousarray(kernel.transpose(1, 2, 3, 0))
            return Convolution(name, sources[0], kernel, bias, options.strideH, depthwise, relu6=False)
        if kind == _Code.RELU:
            return Rectifier(name, (sources[0],), np.zeros(self._graph.tensors[output].shape[-1], np.float32))
        if kind == _Code.PRELU:
            slope: Floats = np.asarray(self._constant(sources[1]), np.float32).reshape(-1)
            return Rectifier(name, (sources[0],), slope)
        if kind == _Code.ADD:
            return Sum(name, (sources[0], sources[1]))
        if kind == _Code.MAX_POOL_2D:
            return MaxPool(name, (sources[0],))
        if kind == _Code.PAD:
            return ChannelPad(name, (sources[0],), int(self._constant(sources[1])[3, 1]))
        if kind == _Code.RESIZE_BILINEAR:
            height, width = self._graph.tensors[output].shape[1:3]
            return Enlarged(name, (sources[0],), (int(height), int(width)))
        raise ValueError(f"no layer for operator {kind} of a TFLite file")

    def _constant(self, name: str) -> NDArray[Any]:
        tensor = self._graph.tensors[int(name)]
        content = np.asarray(self._model.buffers[tensor.buffer].data, np.uint8).tobytes()
        return np.frombuffer(content, _DTYPES[tensor.type]).reshape(tensor.shape)
