"""The model card: what a bundle can do, what it cannot, and what that rests on."""

from __future__ import annotations

from features.taxonomy import Taxonomy
from training.manifest import Manifest

# As docs/benchmarks.md has it, in words that do not age with its figures.
SHOWN = (
    "Proven for this recipe, on later years than it was trained on (docs/benchmarks.md): given that a US product "
    "was recalled, its name ranks the hazards better than every baseline of the same run.",
    "Proven: lead at 100 ppm is ranked in later years of one suspect-driven programme about as well as by TF-IDF on "
    "name, type, country and maker, with better probabilities; names never seen before are harder for all.",
    "Measured: a threshold that bounds how many failing goods pass is kept only while goods do not change; its miss "
    "under a real shift in time is in the same document.",
)
NOT_SHOWN = (
    "Not proven: that a listing that nobody tested will fail. No label of the market at large was at hand.",
    "Not proven: lead, mercury or arsenic in children's goods (a handful of positives); cadmium and phthalates from "
    "any laboratory result (none failed, or none exist).",
    "Not proven: failure rates of product groups in the market; rounds choose suspect goods, and with a round left out "
    "its groups are predicted no better than by the mean of all.",
    "What a person would expect of a product (words by hazard, in three languages) adds to the score: prior knowledge, "
    "its weight chosen on recalls in English alone.",
)
SHORT_OF = (
    "Short of the aims set for it (docs/benchmarks.md has the figures and their intervals): hazard type at a macro "
    "average precision of 0.50; lead at 0.55 over all rows and 0.42 on unseen names; mercury and arsenic ahead of "
    "TF-IDF.",
    "Short of the aim: flags kept under every manner of evasion. Manners that were known are mostly undone; of those "
    "that nobody prepared for a share gets through, euphemisms most of all. A case or a part for dangerous goods is "
    "cleared on the seller's word.",
    "Not proven: that covert cameras are found on a real market; titles were invented by the hand that wrote the "
    "detector.",
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
        *(f"- {line}" for line in (*SHOWN, *NOT_SHOWN, *SHORT_OF)),
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
