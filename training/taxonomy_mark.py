"""By which taxonomy a bundle was trained, and the refusal of another one."""

from __future__ import annotations

import hashlib
import json

from features.own_files import VARIABLE
from features.taxonomy import Taxonomy, packaged_taxonomy
from training.manifest import BundleError, Manifest

_SHOWN = 6


def taxonomy_hash(taxonomy: Taxonomy) -> str:
    """Return the SHA-256 of the hazards and product groups as loaded."""
    content = repr((taxonomy.hazards, sorted(taxonomy.groups.items())))
    return hashlib.sha256(content.encode()).hexdigest()


def reading_hash(taxonomy: Taxonomy) -> str:
    """Return the SHA-256 of what decides how a listing is read and which column is which.

    Hazards in order, the words that are hidden, and product groups in order with the words that name them. Names for
    people, limits, laboratories and injuries are left out: changing those needs no new bundle.
    """
    hazards = [(h.code, h.policy, {k: list(v) for k, v in h.mask_terms.items()}) for h in taxonomy.hazards]
    groups = [
        (
            code,
            group.parent,
            group.audience,
            {language: list(words) for language, words in group.terms.items()},
            list(group.exclude),
            list(group.decoys),
            list(group.categories),
            group.dominant,
            group.abstract,
            dict(group.refine_to),
        )
        for code, group in taxonomy.groups.items()
    ]
    return hashlib.sha256(json.dumps([hazards, groups], sort_keys=True).encode()).hexdigest()


def require_taxonomy(manifest: Manifest, taxonomy: Taxonomy) -> None:
    """Refuse a taxonomy by which a bundle would read listings otherwise than it learned to.

    Raises
    ------
    BundleError
        Naming the hazards that differ, or that words or product groups do.
    """
    if tuple(taxonomy.codes) != manifest.hazards:
        raise BundleError(_refusal(manifest, taxonomy, _hazards_that_differ(manifest, taxonomy)))
    if _reads_alike(manifest, taxonomy):
        return
    raise BundleError(_refusal(manifest, taxonomy, "the same hazards, but other product groups or words"))


def _reads_alike(manifest: Manifest, taxonomy: Taxonomy) -> bool:
    if manifest.reading_sha256 is not None:
        return manifest.reading_sha256 == reading_hash(taxonomy)
    # Bundles from before this was noted name the whole taxonomy only: theirs, or the package's, which may read alike.
    if manifest.taxonomy_sha256 == taxonomy_hash(taxonomy):
        return True
    packaged = packaged_taxonomy()
    return manifest.taxonomy_sha256 == taxonomy_hash(packaged) and reading_hash(packaged) == reading_hash(
        taxonomy
    )


def _hazards_that_differ(manifest: Manifest, taxonomy: Taxonomy) -> str:
    more = [code for code in taxonomy.codes if code not in manifest.hazards]
    fewer = [code for code in manifest.hazards if code not in taxonomy.codes]
    said = [f"with {', '.join(more[:_SHOWN])}"] if more else []
    said += [f"without {', '.join(fewer[:_SHOWN])}"] if fewer else []
    return "hazards " + (" and ".join(said) if said else "in another order")


def _refusal(manifest: Manifest, taxonomy: Taxonomy, differs: str) -> str:
    return (
        f"The bundle {manifest.name!r} was trained on {len(manifest.hazards)} hazards of the taxonomy "
        f"{manifest.taxonomy_sha256[:12]}; got {taxonomy.source}, {taxonomy_hash(taxonomy)[:12]}: {differs}. "
        f"Name the folder that it was trained with (--taxonomy or {VARIABLE}), or train it again with this one."
    )
