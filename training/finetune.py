"""Encoders with gradients: the gate for torch and sentence-transformers (extra ``finetune``).

`to_sentence_transformer` gives a model that sentence-transformers trains like any other; `save_weights` writes what
was learned as a file that serving loads without torch: ``load_encoder("use:FILE")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from features import use_model, weights
from features.use_encoder import use_ids, use_tokenizer

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

# pyright: reportMissingImports=false
# (torch and sentence-transformers come with the extra)

_FIXED = frozenset({"scale", "lo", "bits", "eps"})


def to_sentence_transformer(spec: str = "use") -> SentenceTransformer:
    """Give an encoder as a model that sentence-transformers can train.

    Parameters
    ----------
    spec
        ``use`` (all dense layers learn, the 6-bit embedding table stays) or ``hf:NAME``.

    Returns
    -------
    SentenceTransformer
        Same tokenizer as in serving; float32, while serving computes in int8: cosine 0.9998 between the two.

    Raises
    ------
    weights.MissingExtraError
        When torch or sentence-transformers is not installed.
    ValueError
        For another specification.
    """
    try:
        import torch  # noqa: F401
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise weights.missing("torch or sentence-transformers", "finetune") from error
    if spec == "use":
        return SentenceTransformer(modules=[_use_module()], device="cpu")
    if spec.startswith("hf:") and len(spec) > 3:
        return SentenceTransformer(spec[3:])
    raise ValueError(f"got encoder {spec!r}; expected use or hf:NAME")


def save_weights(model: SentenceTransformer, path: Path) -> None:
    """Write the dense weights of a fine-tuned ``use`` model as safetensors, for ``load_encoder("use:FILE")``.

    Raises
    ------
    TypeError
        For a model that is not one of ``to_sentence_transformer("use")``.
    """
    from safetensors.numpy import save_file

    module: Any = model[0]
    if not hasattr(module, "dense_weights"):
        raise TypeError(
            f"got a model of {type(module).__name__}; expected one of to_sentence_transformer('use')"
        )
    save_file(module.dense_weights(), path)


def _use_module() -> Any:
    """Build the torch module; the class lives in a function because its base class is torch's."""
    import torch
    from safetensors.numpy import save_file
    from torch import nn
    from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

    dense, table = use_model.read_weights(weights.find(weights.USE_WEIGHTS))

    class UseModule(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.ParameterDict(
                {name: torch.from_numpy(value.copy()) for name, value in dense.items() if name not in _FIXED}
            )
            self.register_buffer("table", torch.from_numpy(table), persistent=False)
            self.register_buffer("scale", torch.from_numpy(dense["scale"]), persistent=False)
            self.register_buffer("lo", torch.from_numpy(dense["lo"]), persistent=False)
            self.eps = float(dense["eps"])
            self.tokenizer = use_tokenizer()

        def dense_weights(self) -> dict[str, np.ndarray]:
            return {name: value.detach().cpu().numpy() for name, value in self.w.items()}

        def get_embedding_dimension(self) -> int:
            return use_model.DIM

        get_sentence_embedding_dimension = get_embedding_dimension  # its name before sentence-transformers 6

        def save(self, output_path: str, *_: Any, **__: Any) -> None:
            """Checkpoint of a trainer; what serving loads is written by `save_weights`."""
            save_file(self.dense_weights(), Path(output_path) / "model.safetensors")

        def preprocess(self, inputs: Sequence[str], **_: Any) -> dict[str, torch.Tensor]:
            ids = use_ids(self.tokenizer, list(inputs))
            lengths = torch.tensor([len(one) for one in ids])
            padded = torch.zeros((len(ids), int(lengths.max())), dtype=torch.long)
            for row, one in zip(padded, ids, strict=True):
                row[: len(one)] = torch.tensor(one)
            mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
            return {"input_ids": padded, "attention_mask": mask}

        tokenize = preprocess

        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            w, ids = self.w, features["input_ids"]
            mask = features["attention_mask"].unsqueeze(-1).float()
            chunk = ids % use_model.CHUNKS
            table, scale, low = (cast("torch.Tensor", part) for part in (self.table, self.scale, self.lo))
            emb = table[ids].float() * scale[chunk].unsqueeze(-1) + low[chunk].unsqueeze(-1)
            parts = [emb]
            for n, left in use_model.ORDERS:
                x = emb @ w[f"proj{n}"] + w[f"proj_b{n}"]
                x = F.layer_norm(x, (use_model.WIDTH,), w[f"ln_g{n}"], w[f"ln_b{n}"], self.eps) * mask
                for layer in (1, 2):
                    around = F.pad(x, (0, 0, left, n - 1 - left))
                    window = torch.cat([around[:, k : k + x.shape[1]] for k in range(n)], dim=-1)
                    x = (x + F.relu(window @ w[f"w{layer}_{n}"] + w[f"b{layer}_{n}"])) * mask
                parts.append(x)
            x = torch.cat(parts, dim=-1)
            x = F.layer_norm(x, (x.shape[-1],), w["ln_g"], w["ln_b"], self.eps) * mask
            root = mask.sum(dim=1).sqrt()
            mean = x.sum(dim=1) / root @ w["cnn_W"] + root * w["cnn_b"]
            y1 = F.relu(mean @ w["p1"] + F.relu(mean @ w["d0"]) @ w["d1"])
            z = torch.tanh(y1 @ w["p3"] + F.relu(y1 @ w["d2"]) @ w["d3"])
            features["sentence_embedding"] = F.normalize(z, dim=-1)
            return features

    return UseModule()
