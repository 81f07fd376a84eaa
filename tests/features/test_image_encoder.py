from __future__ import annotations

import pickle

import numpy as np
import pytest

from features import efficientnet, torch_file, weights
from features.image_encoder import DIM, EFFICIENTNET_WEIGHTS, EfficientNetEncoder, ImageEncoder, drawn


@pytest.fixture(scope="module")
def encoder() -> EfficientNetEncoder:
    return EfficientNetEncoder()


def test_vectors_are_unit_float32_and_independent_of_the_company(encoder, pictures):
    photos = [np.asarray(pictures.picture(n)) for n in range(20)]
    rows = encoder.encode(photos)
    assert isinstance(encoder, ImageEncoder)
    assert rows.shape == (20, DIM) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(photos[3:4])[0], rows[3], atol=1e-5)
    assert encoder.encode([]).shape == (0, DIM)


def test_a_smaller_and_mirrored_copy_is_nearest_to_its_original(encoder, pictures):
    images = [pictures.picture(n) for n in range(12)]
    bank = encoder.encode([np.asarray(one) for one in images])
    copies = [np.asarray(one.resize((150, 140)).transpose(0)) for one in images]
    found = encoder.encode(copies) @ bank.T
    assert (found.argmax(1) == np.arange(12)).all()
    assert np.diag(found).min() > 0.5 > np.median(found)


def test_the_graph_computes_what_its_layers_say(tmp_path):
    """The stem and the first block in plain loops of numpy, on the real weights."""
    import onnxruntime as ort
    from onnx import TensorProto, helper, load, save

    arrays = torch_file.read_arrays(weights.find(EFFICIENTNET_WEIGHTS))
    assert len(arrays) == 296 and arrays["_conv_head.weight"].shape == (1_280, 320, 1, 1)
    path = tmp_path / "model.onnx"
    efficientnet.write_graph(path, arrays)
    model = load(path)
    clips = [node.output[0] for node in model.graph.node if node.op_type == "Clip"]
    model.graph.output.append(helper.make_tensor_value_info(clips[1], TensorProto.FLOAT, None))
    save(model, path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    picture = drawn(3)
    got = session.run([clips[1]], {"pixels": picture[None]})[0][0]

    x = (picture / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = x.transpose(2, 0, 1)

    def norm(y: np.ndarray, name: str) -> np.ndarray:
        mean, var, gain, shift = (
            arrays[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return np.clip((y - mean) / np.sqrt(var + 1e-3) * gain + shift, 0, 6)

    padded = np.pad(
        x, ((0, 0), (0, 1), (0, 1))
    )  # SAME with stride 2 on an even side pads below and right only
    stem = np.zeros((32, 112, 112))
    for i in range(3):
        for j in range(3):
            window = padded[:, i : i + 223 : 2, j : j + 223 : 2]
            stem += np.einsum("oc,chw->ohw", arrays["_conv_stem.weight"][:, :, i, j], window)
    stem = norm(stem, "_bn0")
    padded = np.pad(stem, ((0, 0), (1, 1), (1, 1)))
    depth = sum(
        arrays["_blocks.0._depthwise_conv.weight"][:, 0, i, j, None, None]
        * padded[:, i : i + 112, j : j + 112]
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(got, norm(depth, "_blocks.0._bn1"), atol=2e-3)


def test_the_weights_are_the_measured_ones_and_others_are_refused(tmp_path):
    assert weights.find(EFFICIENTNET_WEIGHTS).stat().st_size > 18_000_000
    raw = bytearray(weights.find(EFFICIENTNET_WEIGHTS).read_bytes())
    raw[5_000_000] ^= 1
    other = tmp_path / "w.pth"
    other.write_bytes(raw)
    assert weights.sha256_of(other) != EFFICIENTNET_WEIGHTS.sha256


def test_identity_is_stable_and_weights_do_not_travel(encoder):
    encoder.encode([drawn(1)])
    again = pickle.loads(pickle.dumps(encoder))
    assert again.identity == encoder.identity and again._loaded is None
    assert encoder.identity.dim == DIM and encoder.identity.name == "efficientnet-lite0"


def test_what_is_drawn_for_the_scale_is_the_same_everywhere():
    import hashlib

    assert drawn(0).shape == (224, 224, 3)
    np.testing.assert_array_equal(drawn(5), drawn(5))
    assert len({hashlib.sha256(drawn(n).tobytes()).hexdigest() for n in range(20)}) == 20


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_checked(threads):
    with pytest.raises(ValueError, match="positive"):
        EfficientNetEncoder(threads)
