"""The network as a frozen TensorFlow graph, with the names of the thesis's detector.

The graph reads `image_tensor`, uint8 (N, H, W, 3), RGB, and gives `detection_boxes`, float32 (N, 100, 4), ymin,
xmin, ymax, xmax in 0…1; `detection_scores`, float32 (N, 100), descending; `num_detections`, float32 (N,).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ffpp_prep.detector import postprocess
from ffpp_prep.detector.layers import INPUT, Convolution
from ffpp_prep.detector.network import INPUT_SIZE, PREDICTION_SIZE, SSDNetwork
from ffpp_prep.detector.quiet import native_messages_to_log


def import_tensorflow() -> Any:
    """Returns the module `tensorflow`, which takes seconds to import without its messages."""
    with native_messages_to_log():
        import tensorflow

    return tensorflow


def build_frozen_graph(network: SSDNetwork) -> bytes:
    """Returns the serialised `GraphDef` of the network, with its post-processing."""
    tf = import_tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        frames = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        predictions = _predictions(tf, network, frames)
        boxes, scores = _decode(tf, predictions, network.anchors)
        faces = tf.image.combined_non_max_suppression(
            boxes[:, :, None],
            scores[:, :, None],
            max_output_size_per_class=postprocess.MAX_DETECTIONS,
            max_total_size=postprocess.MAX_DETECTIONS,
            iou_threshold=postprocess.IOU_THRESHOLD,
            score_threshold=0.0,
            clip_boxes=False,
        )
        tf.identity(faces.nmsed_boxes, name="detection_boxes")
        tf.identity(faces.nmsed_scores, name="detection_scores")
        tf.cast(faces.valid_detections, tf.float32, name="num_detections")
    return bytes(graph.as_graph_def().SerializeToString(deterministic=True))


def _predictions(tf: Any, network: SSDNetwork, frames: Any) -> Any:
    resized = tf.raw_ops.ResizeBilinear(
        images=tf.cast(frames, tf.float32),
        size=[INPUT_SIZE, INPUT_SIZE],
        align_corners=False,
        half_pixel_centers=False,
    )
    tensors = {INPUT: resized * np.float32(2 / 255) - 1}
    for convolution in network.convolutions:
        tensors[convolution.name] = _convolve(tf, convolution, tensors[convolution.source])
    count = tf.shape(frames)[0]
    maps = [tf.reshape(tensors[name], [count, -1, PREDICTION_SIZE]) for name in network.predictions]
    return tf.concat(maps, axis=1)


def _convolve(tf: Any, convolution: Convolution, source: Any) -> Any:
    strides = [1, convolution.stride, convolution.stride, 1]
    operation = tf.nn.depthwise_conv2d if convolution.depthwise else tf.nn.conv2d
    result = operation(source, tf.constant(convolution.kernel), strides, "SAME") + convolution.bias
    return tf.nn.relu6(result) if convolution.relu6 else result


def _decode(tf: Any, predictions: Any, anchors: Any) -> tuple[Any, Any]:
    """Returns the clipped boxes (N, A, 4) and the scores (N, A); a box clipped to nothing scores 0."""
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = predictions[:, :, :2] / postprocess.CENTRE_SCALE * sizes + (anchors[:, :2] + anchors[:, 2:]) / 2
    halves = tf.exp(predictions[:, :, 2:4] / postprocess.SIZE_SCALE) * sizes / 2
    boxes = tf.clip_by_value(tf.concat([centres - halves, centres + halves], axis=2), 0.0, 1.0)
    visible = tf.reduce_all(boxes[:, :, 2:] > boxes[:, :, :2], axis=2)
    scores = tf.maximum(tf.sigmoid(predictions[:, :, 4]), postprocess.SCORE_FLOOR)
    return boxes, tf.where(visible, scores, tf.zeros_like(scores))
