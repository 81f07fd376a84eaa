"""Commands that write evidence. Imports stand inside the commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from serving.commands.options import FILE, actor_option, clear, store_option, who

_OUT = click.Path(path_type=Path, dir_okay=False)
_language = click.option(
    "--language", type=click.Choice(["ko", "en"]), default="ko", show_default=True, help="Of HTML and PDF."
)


@click.group("evidence")
def evidence() -> None:
    """Show what was decided, on what, and what followed: for people as HTML or PDF, for machines as JSON."""


@evidence.command("decision")
@click.argument("decision_id")
@click.option(
    "--output", "-o", type=_OUT, required=True, help="Its suffix says the form: .json, .html or .pdf"
)
@_language
@click.option(
    "--bundle", type=click.Path(path_type=Path), help="For the hashes of its data. [default: starter]"
)
@store_option
@actor_option
@clear
def decision(
    decision_id: str, output: Path, language: str, bundle: Path | None, store: str, actor: str | None
) -> None:
    """Write the evidence of a decision.

    \b
    Examples:
      listing-risk evidence decision 019ab3c2 --output evidence.pdf --language en
    """
    _write("decision", decision_id, output, language, bundle, store, actor)


@evidence.command("notice")
@click.argument("notice_id")
@click.option(
    "--output", "-o", type=_OUT, required=True, help="Its suffix says the form: .json, .html or .pdf"
)
@_language
@store_option
@actor_option
@clear
def notice(notice_id: str, output: Path, language: str, store: str, actor: str | None) -> None:
    """Write the evidence of a notice.

    \b
    Examples:
      listing-risk evidence notice notice-019ab3c2 --output notice.html
    """
    _write("notice", notice_id, output, language, None, store, actor)


@evidence.command("export")
@click.option("--since", required=True, help="A day or time, UTC.")
@click.option("--until", required=True, help="A day or time, not included.")
@click.option("--output", "-o", type=_OUT, required=True, help="The CSV file.")
@store_option
@clear
def export(since: str, until: str, output: Path, store: str) -> None:
    """Write the decisions of a period as CSV, safe to open in a spreadsheet.

    \b
    Examples:
      listing-risk evidence export --since 2026-11-01 --until 2026-12-01 --output november.csv
    """
    from serving.evidence.export import csv_lines
    from serving.sellers.api import read_moment
    from serving.store import Store
    from serving.store.engine import reading
    from serving.store.evidence import read_period

    start, end = read_moment(since), read_moment(until)
    count = -1
    with (
        Store(store) as opened,
        reading(opened.engine) as connection,
        output.open("w", encoding="utf-8", newline="") as file,
    ):
        for line in csv_lines(read_period(connection, start, end)):
            file.write(line)
            count += 1
    click.echo(f"{count:,} decisions -> {output}")


@evidence.command("check")
@click.argument("source", metavar="FILE", type=FILE)
@clear
def check(source: Path) -> None:
    """Check that an evidence's JSON is as it was written; exit code 1 when it is not.

    \b
    Examples:
      listing-risk evidence check evidence.json
    """
    from serving.evidence.pack import EvidenceError, content_digest

    try:
        content = json.loads(source.read_text("utf-8"))
        said = content["sha256"]
    except (ValueError, KeyError, TypeError):
        raise EvidenceError(f"got {source.name}, which is no evidence as JSON") from None
    if content_digest(content) != said:
        click.echo("the content is not what its digest says: it was changed", err=True)
        raise click.exceptions.Exit(1)
    click.echo(f"{content['kind']} {content['subject']}: unchanged, {said}")


def _write(
    kind: str,
    subject: str,
    output: Path,
    language: str,
    bundle: Path | None,
    store: str,
    actor: str | None,
) -> None:
    from serving.bans.office import read_book
    from serving.evidence.pack import EvidenceDesk, EvidenceError
    from serving.notices.desk import NoticeDesk
    from serving.settings import STARTER
    from serving.store import Store
    from training.manifest import read_manifest

    if output.suffix not in (".json", ".html", ".pdf"):
        raise EvidenceError(f"got {output.name}, expected a name that ends in .json, .html or .pdf")
    book, manifest = read_book(store), read_manifest(bundle or STARTER)
    with Store(store) as opened:
        desk = EvidenceDesk(opened, NoticeDesk(opened), book, manifest)
        make = desk.of_decision if kind == "decision" else desk.of_notice
        made = make(subject, who(actor), datetime.now(UTC))
    if output.suffix == ".json":
        output.write_text(json.dumps(made.content, ensure_ascii=False, indent=2), "utf-8")
    else:
        from serving.evidence.sections import document_of, evidence_language

        document = document_of(made, evidence_language(language))
        if output.suffix == ".html":
            from serving.evidence.html import html_of

            output.write_text(html_of(document), "utf-8")
        else:
            from serving.evidence.pdf import pdf_of

            output.write_bytes(pdf_of(document))
    click.echo(f"{made.sha256} -> {output}")
