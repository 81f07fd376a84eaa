"""Under which licences the parts are used."""

from __future__ import annotations

import click

from serving.commands.options import clear, show


@click.command("licences")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--check", is_flag=True, help="Show only what may not be used, and end with 1 where there is any."
)
@clear
def licences(as_json: bool, check: bool) -> None:
    """List the licences of every package that is installed with this one, of its models and its data.

    \b
    Examples:
      listing-risk licences
      listing-risk licences --check
      listing-risk licences --json > licences.json
    """
    from serving.supply import licences as parts

    rows = [row for row in parts.licences() if not check or not row.allowed]
    if as_json:
        show([row.to_json() for row in rows])
    else:
        for row in rows:
            note = "" if row.allowed else "  may not be used"
            click.echo(f"{row.kind:8} {row.name} {row.version}: {row.licence} ({row.source}){note}")
    if check and rows:
        raise SystemExit(1)
