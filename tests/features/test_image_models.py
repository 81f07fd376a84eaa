"""Image encoders by name; CLIP and SigLIP with tiny models that are made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from features.image_encoder import EfficientNetEncoder, ImageEncoder
from features.image_models import HubImageEncoder, load_image_encoder


def test_names():
    assert isinstance(load_image_encoder("efficientnet"), EfficientNetEncoder)
    found = load_image_encoder("hf:some/model", threads=2)
    assert isinstance(found, HubImageEncoder) and found.model == "some/model" and found.threads == 2
    for wrong in ("", "hf:", "clip", "efficientnet:x"):
        with pytest.raises(ValueError, match="expected one of: efficientnet, hf:NAME"):
            load_image_encoder(wrong)


def tiny(folder: Path, kind: str) -> str:
    torch = pytest.importorskip("torch", reason="CLIP and SigLIP need the extra finetune")
    transformers = pytest.importorskip("transformers", reason="CLIP and SigLIP need the extra finetune")
    torch.manual_seed(0)
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**vision, "vocab_size": 50, "max_position_embeddings": 12}
    vision |= {"image_size": 32, "patch_size": 8}
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        model = transformers.CLIPModel(config)
        prepare = {
            "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32},
            "size": {"shortest_edge": 32},
        }
        prepare |= {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    else:
        model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision))
        prepare = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(prepare))
    return str(folder)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_tiny_model_encodes(tmp_path, kind):
    encoder = HubImageEncoder(tiny(tmp_path, kind))
    rng = np.random.default_rng(1)
    photos = [rng.integers(0, 255, (40, 60, 3), np.uint8), rng.integers(0, 255, (90, 33, 3), np.uint8)]
    rows = encoder.encode(photos)
    assert isinstance(encoder, ImageEncoder)
    assert rows.shape == (2, encoder.identity.dim) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(photos[1:])[0], rows[1], atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.identity.dim)
    assert HubImageEncoder(encoder.model).identity == encoder.identity


def test_the_library_and_we_see_the_same_features(tmp_path):
    encoder = HubImageEncoder(tiny(tmp_path, "siglip"))
    import torch

    square = np.random.default_rng(2).integers(0, 255, (32, 32, 3), np.uint8)
    from transformers import AutoModel

    values = torch.from_numpy(((square / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]).float()
    with torch.inference_mode():
        found = AutoModel.from_pretrained(encoder.model).eval().get_image_features(pixel_values=values)
    wanted = getattr(found, "pooler_output", found).numpy()[0]
    np.testing.assert_allclose(encoder.encode([square])[0], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_a_model_without_image_features_is_refused(tmp_path):
    transformers = pytest.importorskip("transformers", reason="CLIP and SigLIP need the extra finetune")
    pytest.importorskip("torch", reason="CLIP and SigLIP need the extra finetune")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.BertModel(transformers.BertConfig(vocab_size=20, **small)).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ValueError, match="expected a CLIP or SigLIP model"):
        HubImageEncoder(str(tmp_path)).encode([np.zeros((8, 8, 3), np.uint8)])
