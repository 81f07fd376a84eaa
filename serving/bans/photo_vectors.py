"""Vectors of a listing's photos, for bundles that learnt from photos of past results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from features.errors import UserError
from features.image_encoder import ImageEncoder
from features.schema import Listing
from serving.bans.photos import missing_packages
from serving.settings import Settings

PHOTOS_MAX = 4
"""Photos of one listing that say something about hazards: the first ones show the goods."""


def photo_vectors(encoder: ImageEncoder, settings: Settings) -> Callable[[Listing], np.ndarray | None]:
    """Return what gives the vectors of a listing's usable photos; a photo that cannot be used is left out.

    Parameters
    ----------
    encoder
        The bundle's.
    settings
        Which hosts photos may be fetched from, and the folder they may be read from.

    Raises
    ------
    UserError
        When packages for photos are missing.
    """
    missing = missing_packages()
    if missing:
        raise UserError(
            f"the bundle reads photos and {', '.join(missing)} is not installed: pip install 'listing-risk[images]'"
        )
    from features.image_decode import Photo
    from features.image_features import main_vectors
    from features.image_fetch import Fetcher
    from features.image_intake import from_reference

    fetch = Fetcher(settings.image_hosts).fetch if settings.image_hosts else None

    def vectors(listing: Listing) -> np.ndarray | None:
        found = [
            from_reference(one, fetch=fetch, folder=settings.image_folder)
            for one in listing.images[:PHOTOS_MAX]
        ]
        photos = [photo for photo in found if isinstance(photo, Photo)]
        return main_vectors(photos, encoder) if photos else None

    return vectors
