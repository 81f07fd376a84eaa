"""Whether what the settings name can be used, found out before anything is started."""

from __future__ import annotations

from features.certification import Register
from features.taxonomy import load_taxonomy
from serving.policy_binding import bind
from serving.policy_document import load_policy
from serving.settings import STARTER, Settings
from training.manifest import read_manifest


def check_settings(settings: Settings) -> None:
    """Check bundle, policy and register without loading any weights.

    A worker that cannot start is started again and again; this says once, in one sentence, what is wrong.

    Raises
    ------
    UserError
        When the bundle is damaged or no bundle, the policy is wrong or does not fit it, or the register
        cannot be read.
    """
    policy = load_policy(settings.policy)
    manifest = read_manifest(settings.bundle or STARTER)
    bind(policy, manifest.operating_points, load_taxonomy())
    if settings.register is not None:
        Register.read(settings.register)
