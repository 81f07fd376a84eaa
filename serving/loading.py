"""Whether what the settings name can be used, found out before anything is started."""

from __future__ import annotations

from features.certification import Register
from features.errors import OutsideError
from features.taxonomy import load_taxonomy
from serving.policy.binding import bind
from serving.policy.document import load_policy
from serving.settings import STARTER, Settings
from training.manifest import read_manifest
from training.taxonomy_mark import require_taxonomy


def check_settings(settings: Settings) -> None:
    """Check bundle, policy, register and store without loading any weights; the store's tables are brought up to date.

    A worker that cannot start is started again and again; this says once, in one sentence, what is wrong.

    Raises
    ------
    UserError
        When the bundle is damaged, no bundle or made for another taxonomy, the policy is wrong or does not fit it,
        or the register cannot be read.
    OutsideError
        When the store does not answer or is not durable.
    """
    policy = load_policy(settings.policy)
    manifest = read_manifest(settings.bundle or STARTER)
    taxonomy = load_taxonomy()
    require_taxonomy(manifest, taxonomy)
    bind(policy, manifest.operating_points, taxonomy)
    if settings.register is not None:
        Register.read(settings.register)
    if settings.store:
        _check_store(settings.store)


def _check_store(address: str) -> None:
    from serving.store import Store, StoreError

    try:
        with Store(address):
            pass
    except StoreError as error:
        raise OutsideError(f"the store cannot be used: {error}") from None
