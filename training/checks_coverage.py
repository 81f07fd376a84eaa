"""Which hazards, languages and product groups have labels, and what can be learnt from them."""

from __future__ import annotations

from features.taxonomy import Taxonomy
from training.findings import CheckData, Finding, Trainable

ENOUGH_RECALLS = 15
"""From so many past positives on, recalls and not the group's prior set the level of a hazard."""
_MOSTLY_UNREAD = 0.5


def trainable(data: CheckData, taxonomy: Taxonomy, min_failed: int) -> tuple[Trainable, ...]:
    """Say of each hazard with any label what can be learnt, the best covered first."""
    lab_known, recall_known = data.lab.known, data.recalls.known
    found: list[Trainable] = []
    for k, code in enumerate(taxonomy.codes):
        failed = int((data.lab.value[:, k] * lab_known[:, k]).sum()) if len(data.lab) else 0
        passed = int(lab_known[:, k].sum()) - failed if len(data.lab) else 0
        recalls = int((data.recalls.value[:, k] * recall_known[:, k]).sum()) if len(data.recalls) else 0
        if failed + passed + recalls:
            found.append(_trainable(code, failed, passed, recalls, min_failed))
    order = {"lab": 0, "recall": 1, "prior": 2}
    return tuple(sorted(found, key=lambda t: (order[t.way], -t.failed, -t.recalls)))


def _trainable(code: str, failed: int, passed: int, recalls: int, min_failed: int) -> Trainable:
    have = f"{failed} failed and {passed} passed laboratory results, {recalls} recalls"
    if failed >= min_failed and passed >= min_failed:
        words = f"{have}: a model of its own, P(fails) straight from your results."
        return Trainable(code, "lab", failed, passed, recalls, words)
    lacking = []
    if failed < min_failed:
        lacking.append(f"{min_failed - failed} more failed")
    if passed < min_failed:
        lacking.append(f"{min_failed - passed} more passed")
    more = f" A model of its own needs {' and '.join(lacking)} results." if failed + passed else ""
    if recalls >= ENOUGH_RECALLS:
        words = f"{have}: which goods have it is learnt from recalls, how often from product groups.{more}"
        return Trainable(code, "recall", failed, passed, recalls, words)
    words = f"{have}: too few to learn from; the prior of the product group speaks.{more}"
    return Trainable(code, "prior", failed, passed, recalls, words)


def coverage(data: CheckData, taxonomy: Taxonomy, min_failed: int) -> list[Finding]:
    """Find what is missing: labels at all, passed results, product groups, cuts."""
    findings: list[Finding] = []
    if not len(data.lab) and not len(data.recalls):
        findings.append(
            Finding(
                "coverage.empty",
                "stop",
                "No row gives a label.",
                "See the rejected rows: `listing-risk ingest` writes each with its reason.",
            )
        )
        return findings
    findings += _one_sided(data, taxonomy, min_failed)
    findings += _left_out(data)
    unread = [
        item.id for item, reading in zip(data.lab.items, data.lab_readings, strict=True) if not reading.group
    ]
    if len(data.lab) >= 20 and len(unread) > _MOSTLY_UNREAD * len(data.lab):
        findings.append(
            Finding(
                "coverage.groups",
                "look",
                f"In {len(unread)} of {len(data.lab)} laboratory results no product group is recognised in the name. "
                "Such results teach the words but vouch for no group.",
                "Fill product_type, or add your words to product_groups.yaml.",
                len(unread),
                len(data.lab),
                tuple(unread[:5]),
            )
        )
    return findings


def _one_sided(data: CheckData, taxonomy: Taxonomy, min_failed: int) -> list[Finding]:
    findings: list[Finding] = []
    for k, code in enumerate(taxonomy.codes):
        known = data.lab.known[:, k]
        n, failed = int(known.sum()), int(data.lab.value[known, k].sum())
        if n >= min_failed and failed in (0, n):
            which = "failed" if failed else "passed"
            findings.append(
                Finding(
                    "coverage.one_sided",
                    "look",
                    f"{code}: all {n} results {which}. A rate of failure cannot be learnt from one side only.",
                    "Send in the other results too: what was tested and passed counts as much as what failed."
                    if failed
                    else "Nothing to do if nothing ever failed; check the cut otherwise.",
                    n,
                    n,
                )
            )
    return findings


def _left_out(data: CheckData) -> list[Finding]:
    total = sum(data.left_out.values()) + len(data.lab) + len(data.recalls)
    findings: list[Finding] = []
    for reason, count in sorted(data.left_out.items(), key=lambda pair: -pair[1])[:8]:
        grave = count > 0.2 * total and count >= 10
        advice = "Name a cut for this hazard in the configuration." if reason.startswith("no cut") else ""
        findings.append(
            Finding(
                "coverage.left_out",
                "look" if grave else "note",
                f"{count} rows give no label: {reason}.",
                advice,
                count,
                total,
            )
        )
    return findings
