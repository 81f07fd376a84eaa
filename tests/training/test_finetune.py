from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from features import weights
from features.encoders import load_encoder

# Looked for, not imported: every process of a run collects this file, and one runs it.
if not find_spec("torch") or not find_spec("sentence_transformers"):
    pytest.skip("extra finetune is not installed", allow_module_level=True)

TEXTS = [
    "Rubber duck for the bathtub",
    "욕조용 고무 오리",
    "浴缸橡皮鸭",
    "Bike helmet " * 30,
    "",
    "😀",
    "x\ud800y",
]


@pytest.fixture(scope="module", autouse=True)
def cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(weights.CACHE_VARIABLE, str(tmp_path_factory.mktemp("encoders")))
        yield


def test_training_and_serving_agree():
    from training.finetune import to_sentence_transformer

    trained = to_sentence_transformer("use").encode(TEXTS)
    served = load_encoder("use").encode(TEXTS)
    assert (trained * served).sum(axis=1).min() > 0.999


def test_padding_does_not_change_a_text():
    from training.finetune import to_sentence_transformer

    model = to_sentence_transformer("use")
    alone = np.vstack([model.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(model.encode(TEXTS), alone, atol=1e-5)


def test_what_is_learned_is_served(tmp_path):
    import torch

    from training.finetune import save_weights, to_sentence_transformer

    model = to_sentence_transformer("use")
    pair = ["magnetic balls", "desk toy"]
    before = float(np.prod(model.encode(pair), axis=0).sum())
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(5):
        vectors = model(model.preprocess(pair))["sentence_embedding"]
        loss = 1 - (vectors[0] * vectors[1]).sum()
        optimiser.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimiser.step()
    trained = model.encode(pair)
    save_weights(model, tmp_path / "tuned.safetensors")
    served = load_encoder(f"use:{tmp_path / 'tuned.safetensors'}").encode(pair)
    assert (served[0] @ served[1]) > before + 0.1
    assert (served * trained).sum(axis=1).min() > 0.998


def test_only_our_own_model_can_be_saved(tmp_path):
    from training.finetune import save_weights

    with pytest.raises(TypeError, match="expected one of to_sentence_transformer"):
        save_weights([object()], tmp_path / "x.safetensors")


def test_an_unknown_encoder_is_refused():
    from training.finetune import to_sentence_transformer

    with pytest.raises(ValueError, match="got encoder 'e5'; expected use or hf:NAME"):
        to_sentence_transformer("e5")
