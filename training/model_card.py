"""The model card: what a bundle can do, what it cannot, and what that rests on."""

from __future__ import annotations

from features.taxonomy import Taxonomy
from training.manifest import Manifest
from training.model_card_tasks import measured_lines

NOT_SHOWN = (
    "Not proven: that a listing that nobody tested will fail. No label of the market at large was at hand.",
    "Not proven: lead, mercury or arsenic in children's goods (a handful of positives); cadmium and phthalates from "
    "any laboratory result (none failed, or none exist).",
    "What a person would expect of a product (words by hazard, in three languages) adds to the score: prior knowledge, "
    "its weight chosen on recalls in English alone.",
    "A case or a part for dangerous goods is cleared on the seller's word.",
)


def model_card(manifest: Manifest, taxonomy: Taxonomy) -> str:
    """Write the card of a bundle in Markdown."""
    metrics = manifest.metrics
    lines = [
        f"# Model card: {manifest.name}",
        "",
        f"Made {manifest.created_at.isoformat()} from code {manifest.code_commit[:12]}, "
        f"knowledge as of {manifest.as_of or 'the newest record'}. Encoder {manifest.encoder.name} (Apache-2.0).",
        "",
        "## What it answers",
        "",
        "For a listing, how likely the goods fail for each of "
        f"{len(manifest.hazards)} hazards, as P(non-compliant) x P(hazard | non-compliant), and directly where "
        f"laboratory results exist ({', '.join(manifest.lab_hazards) or 'none'}).",
        "",
        "## What it rests on",
        "",
        f"- {metrics['records']['recalls']} recalls: which hazard a non-compliant product has. Positives only: "
        "they say nothing of how often goods fail.",
        f"- {metrics['records']['lab']} laboratory results, chosen because suspect: order, not market prevalence.",
        f"- {metrics['records']['rounds']} rows of inspection rounds: how often a product group fails. Rounds choose "
        "popular or suspect goods; groups without rounds take their parent's rate.",
        *_photos(manifest),
        "- Test priors of product groups and injury probabilities of the taxonomy, many of them marked assumptions.",
        "",
        "Files: " + "; ".join(f"`{path}` {digest[:12]}" for path, digest in manifest.data.items()) + ".",
        "",
        "## What it cannot do",
        "",
        "- It does not see the goods. A score orders what to look at first; it proves nothing of one item.",
        "- Within one product group P(non-compliant) hardly differs between listings until the user's own "
        "laboratory results are trained on.",
        "- Recalls are American and in English; Korean and Chinese listings lean on the multilingual encoder and on "
        "the product group, which was not tested on laboratory results in those languages.",
        "- Hazards with few past positives follow the group prior (basis `prior`): the figure is an assumption.",
        "",
        "## What is proven, and what is not",
        "",
        "For this recipe, task by task; figures, intervals and baselines are in docs/benchmarks.md.",
        "",
        *measured_lines(),
        "",
        *(f"- {line}" for line in NOT_SHOWN),
        "",
        "## Held-out figures inside the training data",
        "",
        "Group-disjoint folds: no maker, recall number or near-duplicate name on both sides.",
        "",
        "| hazard | positives | average precision | Brier |",
        "|---|---:|---:|---:|",
    ]
    for code, figures in metrics["hazard_type_held_out"].items():
        name = taxonomy.hazard(code).names["en"]
        precision = figures.get("average_precision", float("nan"))
        lines.append(
            f"| {name} (`{code}`) | {figures['positives']:.0f} | {precision:.3f} | {figures['brier']:.4f} |"
        )
    for code, figures in metrics["lab_held_out"].items():
        precision = figures.get("average_precision", float("nan"))
        lines.append(
            f"| laboratory: `{code}` | {figures['positives']:.0f} of {figures['n']:.0f} | {precision:.3f} "
            f"| {figures['brier']:.4f} |"
        )
    return "\n".join(lines) + "\n"


def _photos(manifest: Manifest) -> list[str]:
    """Say what photos taught, where the bundle was trained with some."""
    images = manifest.metrics.get("images")
    if images is None:
        return []
    kept = [code for code, gain in images.get("gain", {}).items() if gain["kept"]]
    said = (
        f"they speak for {', '.join(kept)} and for no other hazard"
        if kept
        else "they help no hazard: not used"
    )
    return [f"- Photos of {images['items']} past results; held out, {said}."]
