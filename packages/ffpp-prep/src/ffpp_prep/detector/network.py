"""The network as a list of convolutions, from which all engines are built.

SSD MobileNet V1 at 512×512 (Howard et al. 2017, Liu et al. 2016), face class only. Every operation is a
convolution with bias: batch normalisation is folded into the depthwise kernels, and the two predictors of a
feature map (box codes and class scores) are one convolution that leaves out the classes nobody reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector.layers import INPUT, Convolution
from ffpp_prep.detector.weights import Weights

INPUT_SIZE = 512  # of `INPUT`: float32 (1, 512, 512, 3), RGB, -1…1
PREDICTION_SIZE = 5  # ty, tx, th, tw, logit of an anchor

_BATCH_NORM_EPSILON = 1e-3
_CLASSES = 3  # background, face, and one that training left unused
_FACE_CLASS = 1
_STRIDE_2_LAYERS = (2, 4, 6, 12)


@dataclass(frozen=True)
class SSDNetwork:
    """The convolutions in the order in which they run, the names of the predictions, and the anchors.

    predictions: the convolutions whose outputs, each reshaped to (cells · anchors a cell, 5) and put one after
    another, are the 5118 predictions (ty, tx, th, tw, logit of "face").
    anchors: float32 (5118, 4), ymin, xmin, ymax, xmax in units of the frame's height and width.
    """

    convolutions: tuple[Convolution, ...]
    predictions: tuple[str, ...]
    anchors: NDArray[np.float32]


def build_network(weights: Weights) -> SSDNetwork:
    """Returns the network with the given weights (`load_weights`)."""
    backbone = [_pointwise(weights, "MobilenetV1/Conv2d_0_pointwise", INPUT, stride=2)]
    for layer in range(1, 14):
        name = f"MobilenetV1/Conv2d_{layer}"
        stride = 2 if layer in _STRIDE_2_LAYERS else 1
        backbone.append(_depthwise(weights, f"{name}_depthwise", backbone[-1].name, stride))
        backbone.append(_pointwise(weights, f"{name}_pointwise", f"{name}_depthwise", stride=1))
    backbone[:3] = _without_dead_channels(*backbone[:3])
    extras: list[Convolution] = []
    source = backbone[-1].name
    for layer in range(8):
        name = f"Prediction/Conv2d_{layer}_pointwise"
        extras.append(_pointwise(weights, name, source, stride=1 + layer % 2))
        source = name
    feature_maps = ["MobilenetV1/Conv2d_11_pointwise", "MobilenetV1/Conv2d_13_pointwise"]
    feature_maps += [f"Prediction/Conv2d_{layer}_pointwise" for layer in (1, 3, 5, 7)]
    predictors = [_predictor(weights, index, source) for index, source in enumerate(feature_maps)]
    return SSDNetwork(
        convolutions=(*backbone, *extras, *predictors),
        predictions=tuple(predictor.name for predictor in predictors),
        anchors=weights["Output/extra_dim"],
    )


def _pointwise(weights: Weights, name: str, source: str, stride: int) -> Convolution:
    kernel, bias = weights[f"{name}/weights"], weights[f"{name}/convolution_bn_offset"]
    return Convolution(name, source, kernel, bias, stride, depthwise=False, relu6=True)


def _depthwise(weights: Weights, name: str, source: str, stride: int) -> Convolution:
    gamma, beta, mean, variance = (
        weights[f"{name}/BatchNorm/{part}"].astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
    kernel = (weights[f"{name}/depthwise_weights"] * scale[:, None]).astype(np.float32)
    bias = (beta - mean * scale).astype(np.float32)
    return Convolution(name, source, kernel, bias, stride, depthwise=True, relu6=True)


def _without_dead_channels(
    first: Convolution, depthwise: Convolution, pointwise: Convolution
) -> tuple[Convolution, Convolution, Convolution]:
    """Leaves out the channels of the first convolution that are 0 whatever the frame: 13 of 32.

    Training left them dead: the input lies in -1…1, so no output can exceed bias + sum of |kernel|, and where that
    is below 0, ReLU6 gives 0 everywhere. The depthwise layer turns them to a constant, which the biases of the
    pointwise layer take over. The largest feature maps shrink, the result is the same.
    """
    dead = first.bias + np.abs(first.kernel).sum(axis=(0, 1, 2)) <= 0
    constants = depthwise.bias[dead].clip(0, 6)
    return (
        replace(first, kernel=first.kernel[..., ~dead], bias=first.bias[~dead]),
        replace(depthwise, kernel=depthwise.kernel[:, :, ~dead], bias=depthwise.bias[~dead]),
        replace(
            pointwise,
            kernel=pointwise.kernel[:, :, ~dead],
            bias=pointwise.bias + constants @ pointwise.kernel[0, 0, dead],
        ),
    )


def _predictor(weights: Weights, index: int, source: str) -> Convolution:
    name = f"Prediction/BoxPredictor_{index}"
    kernel, bias = (
        _interleave(
            weights[f"{name}/BoxEncodingPredictor/{part}"],
            weights[f"{name}/ClassPredictor/{part}"],
        )
        for part in ("weights", "biases")
    )
    return Convolution(name, source, kernel, bias, stride=1, depthwise=False, relu6=False)


def _interleave(codes: NDArray[np.float32], classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Joins (…, anchors · 4) box codes and (…, anchors · 3) class scores to (…, anchors · 5)."""
    codes = codes.reshape(*codes.shape[:-1], -1, 4)
    classes = classes.reshape(*classes.shape[:-1], -1, _CLASSES)
    joined = np.concatenate([codes, classes[..., _FACE_CLASS : _FACE_CLASS + 1]], axis=-1)
    return joined.reshape(*joined.shape[:-2], -1)
