"""When things happened: results without a day, in the future, or before the text that is to foretell them."""

from __future__ import annotations

from datetime import date

from training.findings import CheckData, Finding

_MANY = 0.1


def times(data: CheckData, today: date) -> list[Finding]:
    """Find results that no split by time can place."""
    items = [*data.lab.items, *data.recalls.items]
    if not items:
        return []
    findings: list[Finding] = []
    undated = [item.id for item in items if item.time is None]
    if undated:
        findings.append(
            Finding(
                "times.undated",
                "look" if len(undated) > _MANY * len(items) else "note",
                f"{len(undated)} of {len(items)} results have no day. They can be learnt from, but never measured on.",
                "Fill the date of the result.",
                len(undated),
                len(items),
                tuple(undated[:5]),
            )
        )
    ahead = [item.id for item in items if item.time is not None and item.time > today]
    if ahead:
        findings.append(
            Finding(
                "times.future",
                "look",
                f"{len(ahead)} results are dated after today ({today}); day and month may be swapped.",
                "Write days as YYYY-MM-DD.",
                len(ahead),
                len(items),
                tuple(ahead[:5]),
            )
        )
    days = {item.time for item in items if item.time is not None}
    if len(items) >= 20 and 0 < len(days) < 3:
        findings.append(
            Finding(
                "times.same_day",
                "look",
                f"All results carry {len(days)} day(s): that is the day of an export and not of the results.",
                "Give the day on which each result was known; without it nothing can be measured on later data.",
                len(items),
                len(items),
            )
        )
    return findings


def text_after_result(data: CheckData) -> list[Finding]:
    """Find listings whose text was written or changed after their result was known: it may tell the result."""
    matched, late, first = 0, [], []
    for result in data.raw_results:
        listing = data.listings.get(result.listing_id) if result.listing_id else None
        if listing is None or result.date is None:
            continue
        matched += 1
        written = listing.updated_at or listing.scored_at
        if written is not None and written.date() > result.date:
            late.append(result.native_id)
        if listing.created_at is not None and listing.created_at.date() > result.date:
            first.append(result.native_id)
    findings: list[Finding] = []
    if late:
        findings.append(
            Finding(
                "leakage.text_after_result",
                "look",
                f"{len(late)} of {matched} listings were changed after their result was known: a seller who was told "
                "may have rewritten the text.",
                "Use the text as it stood when the sample was taken.",
                len(late),
                matched,
                tuple(late[:5]),
            )
        )
    if first:
        findings.append(
            Finding(
                "times.label_before_listing",
                "look",
                f"{len(first)} of {matched} results are older than the listing they are said to be of.",
                "Check listing_id: numbers that are used again tie a result to other goods.",
                len(first),
                matched,
                tuple(first[:5]),
            )
        )
    return findings
