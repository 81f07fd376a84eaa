"""EfficientNet-Lite0 as an ONNX graph, made from its weights without torch.

Architecture: Tan and Le, "EfficientNet", ICML 2019, in the Lite variant of its authors (no squeeze and excitation,
ReLU6); block table and padding read off the package ``efficientnet-lite-pytorch`` 0.1.0 (Apache-2.0). Batch norms are
folded into the convolutions. The graph takes bytes as they lie in a photo and scales them itself, so no caller can
scale them otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 224
DIM = 1_280
RECIPE = 1
"""Raised whenever the graph computes something else."""

_EPSILON = 1e-3
# (repeats, kernel, stride of the first, expansion)
_STAGES = ((1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6))
_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255


class _Graph:
    """Collects nodes and constants, and knows the side of the current map for the padding."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.side = SIDE

    def constant(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def convolve(self, x: str, conv: str, norm: str, *, stride: int = 1, relu: bool = True) -> str:
        """Convolution with its batch norm folded in, padded as TensorFlow's SAME does, and ReLU6."""
        weight = self.arrays[f"{conv}.weight"]
        scale = self.arrays[f"{norm}.weight"] / np.sqrt(self.arrays[f"{norm}.running_var"] + _EPSILON)
        bias = self.arrays[f"{norm}.bias"] - self.arrays[f"{norm}.running_mean"] * scale
        out, per_group, kernel, _ = weight.shape
        side = -(-self.side // stride)
        pad = max((side - 1) * stride + kernel - self.side, 0)
        self.side = side
        y = self.add(
            "Conv",
            x,
            self.constant(f"{conv}.w", (weight * scale[:, None, None, None]).astype(np.float32)),
            self.constant(f"{conv}.b", bias.astype(np.float32)),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad // 2, pad // 2, pad - pad // 2, pad - pad // 2],
            group=out if per_group == 1 and kernel > 1 else 1,
        )
        return self.add("Clip", y, "zero", "six") if relu else y

    def block(self, x: str, name: str, stride: int, expansion: int) -> str:
        """Inverted residual block; the input is added where shape allows."""
        y = x
        if expansion > 1:
            y = self.convolve(y, f"{name}._expand_conv", f"{name}._bn0")
        y = self.convolve(y, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
        y = self.convolve(y, f"{name}._project_conv", f"{name}._bn2", relu=False)
        first = self.arrays[f"{name}.{'_expand_conv' if expansion > 1 else '_depthwise_conv'}.weight"]
        entering = first.shape[1] if expansion > 1 else first.shape[0]
        same = stride == 1 and entering == self.arrays[f"{name}._project_conv.weight"].shape[0]
        return self.add("Add", y, x) if same else y


def write_graph(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the graph: ``pixels`` (n, 224, 224, 3) uint8 in, ``features`` (n, 1280) and ``classes`` (n, 1000) out.

    Parameters
    ----------
    path
        Of the ONNX file.
    arrays
        As `features.torch_file.read_arrays` gives them.
    """
    import onnx
    from onnx import TensorProto, helper

    g = _Graph(arrays)
    g.constant("zero", np.array(0, np.float32))
    g.constant("six", np.array(6, np.float32))
    x = g.add("Transpose", g.add("Cast", "pixels", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    x = g.add("Sub", x, g.constant("mean", _MEAN.reshape(1, 3, 1, 1)))
    x = g.add("Div", x, g.constant("std", _STD.reshape(1, 3, 1, 1)))
    x = g.convolve(x, "_conv_stem", "_bn0", stride=2)
    number = 0
    for repeats, _, stride, expansion in _STAGES:
        for repeat in range(repeats):
            x = g.block(x, f"_blocks.{number}", stride if repeat == 0 else 1, expansion)
            number += 1
    x = g.convolve(x, "_conv_head", "_bn1")
    pooled = g.add("Flatten", g.add("GlobalAveragePool", x), axis=1)
    weight, bias = (np.asarray(arrays[f"_fc.{part}"], np.float32) for part in ("weight", "bias"))
    classes = g.add("Gemm", pooled, g.constant("fc.w", weight), g.constant("fc.b", bias), transB=1)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        g.nodes,
        "efficientnet-lite0",
        [info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [info(pooled, TensorProto.FLOAT, ["n", DIM]), info(classes, TensorProto.FLOAT, ["n", 1_000])],
        g.constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="listing-risk"
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
