"""The command line: a thin shell that wires the rooms together. Imports stand inside the commands."""

from __future__ import annotations

import click

from serving.commands.access import access
from serving.commands.audit import audit, retention
from serving.commands.bans import bans, catalogue
from serving.commands.bundle import bundle
from serving.commands.events import events
from serving.commands.evidence import evidence
from serving.commands.labs import GROUPS as LABORATORY
from serving.commands.licences import licences
from serving.commands.notices import notices
from serving.commands.plan import plan
from serving.commands.policy import policy
from serving.commands.reconcile import reconcile
from serving.commands.science import COMMANDS as SCIENCE
from serving.commands.scoring import COMMANDS as SCORING
from serving.commands.sellers import complaints, sellers
from serving.commands.serve import COMMANDS as SERVE
from serving.commands.taxonomy import taxonomy, with_taxonomy
from serving.commands.training import COMMANDS as TRAINING


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="listing-risk")
def main() -> None:
    """Score marketplace listings for product-safety hazards.

    \b
    Examples:
      listing-risk score listing.json
      listing-risk batch listings.csv --output scores.parquet --columns title=name,price=price
      listing-risk serve
    """


FOLLOW_UP = (notices, reconcile, complaints, sellers, evidence, events)
GROUPS = (bans, catalogue, audit, retention, access, policy, taxonomy, bundle, licences)
for group in (*SCORING, *TRAINING, *SERVE, *GROUPS, *SCIENCE, plan, *LABORATORY, *FOLLOW_UP):
    main.add_command(group)
with_taxonomy(main)


if __name__ == "__main__":
    main()
