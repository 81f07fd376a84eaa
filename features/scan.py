"""Dot products of a few vectors with very many, in eight bits: for finding what is worth a closer look."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import simsimd

from features import weights

LEVELS = 63
"""Numbers of a query reach from minus so much to so much: 255 * 63 * 2 stays below 2**15, which AVX2 needs."""
ZERO = 128
"""What a row's byte says for nought."""

_FEW = 4
"""Up to so many queries are compared one by one; beyond, one product of matrices costs less."""
_BLOCK = 4_096


def dot_products(queries: np.ndarray, rows: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Multiply.

    Parameters
    ----------
    queries
        ndarray of shape (n_queries, n_dimensions), int8, within ``-LEVELS`` and ``LEVELS``.
    rows
        ndarray of shape (n_rows, n_dimensions), uint8: a number plus `ZERO`.
    sums
        ndarray of shape (n_rows,): the sum of each row's bytes.

    Returns
    -------
    ndarray of shape (n_queries, n_rows), float32: whole numbers, the same however many queries there are
    """
    found = np.empty((len(queries), len(rows)), np.float32)
    shift = ZERO * queries.sum(axis=1, dtype=np.int64)
    if len(queries) > _FEW:
        columns = np.ascontiguousarray(queries.T)
        for start in range(0, len(rows), _BLOCK):
            part: Any = _product().run(None, {"rows": rows[start : start + _BLOCK], "columns": columns})[0]
            found[:, start : start + _BLOCK] = part.T
        found -= shift[:, None]
        return found
    for query, one, less in zip(queries, found, shift, strict=True):
        bytes_ = (query.view(np.uint8) ^ ZERO)[None, :]
        raw = np.asarray(simsimd.cdist(bytes_, rows, metric="dot")).ravel()
        # (row - ZERO) . query from row . (query + ZERO): both shifts go out again.
        one[:] = raw - ZERO * sums - less
    return found


@cache
def _product() -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    path = weights.built("scan-1", _build) / "scan.onnx"
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _build(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    def info(name: str, kind: int, *shape: str) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["rows", "columns"], ["products"])],
        "scan",
        [
            info("rows", TensorProto.UINT8, "rows", "places"),
            info("columns", TensorProto.INT8, "places", "columns"),
        ],
        [info("products", TensorProto.INT32, "rows", "columns")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "scan.onnx")
