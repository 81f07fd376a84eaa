"""Whether what the settings name can be used, found out before anything is started."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from features.certification import Register
from features.errors import OutsideError, UserError
from features.taxonomy import load_taxonomy
from serving.policy.binding import bind
from serving.policy.document import load_policy
from serving.settings import STARTER, Settings
from serving.supply.signatures import check_trust
from training.manifest import read_manifest
from training.taxonomy_mark import require_taxonomy


def check_settings(settings: Settings) -> None:
    """Check bundle, policy, register and store without loading any weights; the store's tables are brought up to date.

    A worker that cannot start is started again and again; this says once, in one sentence, what is wrong.

    Raises
    ------
    UserError
        When the bundle is damaged, no bundle or made for another taxonomy, the policy is wrong or does not fit it,
        the register cannot be read, nobody trusted signed the bundle, or no key opens a webhook's secret.
    OutsideError
        When the store does not answer or is not durable.
    """
    policy = load_policy(settings.policy)
    if settings.register is not None:
        Register.read(settings.register)
    taxonomy = load_taxonomy()
    champion = _champion(settings) if settings.store else None
    manifest = None
    if champion is not None and settings.bundle is None:
        # Where it cannot be used it is refused at the start, and the starter bundle decides.
        with suppress(UserError, OSError):
            found = read_manifest(champion)
            check_trust(champion, settings.supply.trusted_keys)
            require_taxonomy(found, taxonomy)
            manifest = found
    if manifest is None:
        manifest = read_manifest(settings.bundle or STARTER)
        check_trust(settings.bundle or STARTER, settings.supply.trusted_keys)
        require_taxonomy(manifest, taxonomy)
    bind(policy, manifest.operating_points, taxonomy)


def _champion(settings: Settings) -> Path | None:
    """Open the store, which brings its tables up to date, see that secrets open, return where its champion lies."""
    from serving.events.vault import SecretVault
    from serving.events.webhooks import EndpointDesk
    from serving.models.promotion import champion_of
    from serving.store import Store, StoreError

    try:
        with Store(settings.store) as store:
            champion = champion_of(store)
            EndpointDesk(store, vault=SecretVault(settings.supply.secret_keys)).check_secrets()
    except StoreError as error:
        raise OutsideError(f"the store cannot be used: {error}") from None
    return None if champion is None else Path(str(champion.body.get("path", "")))
