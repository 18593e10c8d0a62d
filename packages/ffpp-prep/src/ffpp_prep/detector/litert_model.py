"""The network as a TFLite flatbuffer, built in memory.

The model takes one frame as it was decoded, uint8 (1, height, width, 3), and resizes it itself: the resizing is
TensorFlow's own, so both engines see the same pixels, and XNNPACK does it faster than NumPy could.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ffpp_prep.detector.layers import INPUT, Convolution
from ffpp_prep.detector.network import INPUT_SIZE, SSDNetwork


def build_flatbuffer(network: SSDNetwork, height: int, width: int) -> bytes:
    """Returns the TFLite model for frames of the given size in pixels.

    Input: uint8 (1, height, width, 3), RGB. Outputs: float32, one a feature map, in the order of
    `network.predictions`.
    """
    model = _Model()
    # uint8 with a scale: reading the frame as float32 multiplies it by 2/255. Shifting to -1…1 comes after the
    # resizing, on fewer pixels; folded into the first convolution it would be wrong at the padded borders.
    quantisation = schema.QuantizationParametersT(scale=[2 / 255], zeroPoint=[0])
    frame = model.tensor("frame", (1, height, width, 3), schema.TensorType.UINT8, quantisation)
    source = model.dequantise(frame, (1, height, width, 3))
    source = model.resize(source, (1, INPUT_SIZE, INPUT_SIZE, 3))
    tensors = {INPUT: model.add(source, (1, INPUT_SIZE, INPUT_SIZE, 3), np.array([-1], np.float32))}
    sizes = {INPUT: INPUT_SIZE}
    for convolution in network.convolutions:
        size = -(-sizes[convolution.source] // convolution.stride)
        tensors[convolution.name] = model.convolution(convolution, tensors[convolution.source], size)
        sizes[convolution.name] = size
    return model.serialise([frame], [tensors[name] for name in network.predictions])


@dataclass
class _Model:
    """Collects tensors, operators and buffers."""

    tensors: list[schema.TensorT] = field(default_factory=list)
    operators: list[schema.OperatorT] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    buffers: list[schema.BufferT] = field(
        default_factory=lambda: [schema.BufferT()]
    )  # the first must be empty

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: int = schema.TensorType.FLOAT32,
        quantisation: schema.QuantizationParametersT | None = None,
    ) -> int:
        self.tensors.append(
            schema.TensorT(shape=list(shape), type=dtype, name=name, quantization=quantisation, buffer=0)
        )
        return len(self.tensors) - 1

    def constant(self, name: str, values: NDArray[np.float32] | NDArray[np.int32]) -> int:
        dtype = schema.TensorType.INT32 if values.dtype == np.int32 else schema.TensorType.FLOAT32
        index = self.tensor(name, values.shape, dtype)
        self.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        self.tensors[index].buffer = len(self.buffers) - 1
        return index

    def dequantise(self, source: int, shape: tuple[int, ...]) -> int:
        output = self.tensor("dequantised", shape)
        self._operator(schema.BuiltinOperator.DEQUANTIZE, [source], output)
        return output

    def resize(self, source: int, shape: tuple[int, ...]) -> int:
        output = self.tensor("resized", shape)
        size = self.constant("size", np.array(shape[1:3], np.int32))
        options = schema.ResizeBilinearOptionsT(alignCorners=False, halfPixelCenters=False)
        self._operator(schema.BuiltinOperator.RESIZE_BILINEAR, [source, size], output, options)
        return output

    def add(self, source: int, shape: tuple[int, ...], values: NDArray[np.float32]) -> int:
        output = self.tensor("shifted", shape)
        options = schema.AddOptionsT()
        self._operator(schema.BuiltinOperator.ADD, [source, self.constant("shift", values)], output, options)
        return output

    def convolution(self, convolution: Convolution, source: int, size: int) -> int:
        # TFLite's kernels are (out, height, width, in), depthwise (1, height, width, channels).
        kernel = convolution.kernel.transpose(3, 0, 1, 2)
        options = schema.Conv2DOptionsT()
        operator = schema.BuiltinOperator.CONV_2D
        if convolution.depthwise:
            options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1)
            operator = schema.BuiltinOperator.DEPTHWISE_CONV_2D
        options.padding = schema.Padding.SAME
        options.strideH = options.strideW = convolution.stride
        options.dilationHFactor = options.dilationWFactor = 1
        relu6, none = schema.ActivationFunctionType.RELU6, schema.ActivationFunctionType.NONE
        options.fusedActivationFunction = relu6 if convolution.relu6 else none
        inputs = [
            source,
            self.constant(f"{convolution.name}/kernel", np.ascontiguousarray(kernel)),
            self.constant(f"{convolution.name}/bias", convolution.bias),
        ]
        output = self.tensor(convolution.name, (1, size, size, len(convolution.bias)))
        self._operator(operator, inputs, output, options)
        return output

    def serialise(self, inputs: list[int], outputs: list[int]) -> bytes:
        graph = schema.SubGraphT(
            tensors=self.tensors, inputs=inputs, outputs=outputs, operators=self.operators, name="main"
        )
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)
            for code in self.codes
        ]
        model = schema.ModelT(
            version=3,
            operatorCodes=codes,
            subgraphs=[graph],
            buffers=self.buffers,
            description="face detector",
        )
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _operator(self, code: int, inputs: list[int], output: int, options: object | None = None) -> None:
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT(opcodeIndex=self.codes.index(code), inputs=inputs, outputs=[output])
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.operators.append(operator)
