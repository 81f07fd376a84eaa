"""What each measured task proves of the recipe, what it does not, and which aim was met: the model card repeats it.

In words that do not age with every run; figures with their intervals are in ``docs/benchmarks.md``.
"""

from __future__ import annotations

from typing import NamedTuple


class Measured(NamedTuple):
    """One task.

    Attributes
    ----------
    task
        Its name, that of the results file.
    shown, not_shown
        What its figures prove, and what nobody should read into them.
    aim
        What was aimed at and whether it was reached.
    """

    task: str
    shown: str
    not_shown: str
    aim: str


MEASURED = (
    Measured(
        "hazard_type",
        "given that a US product was recalled, its name ranks the hazards of 2010-2013 better than every baseline of "
        "the same run",
        "whether goods fail at all, other languages, rare hazards (electric shock, poisoning, suffocation stay low)",
        "macro AP 0.50: missed by some hundredths",
    ),
    Measured(
        "hazard_type_2013plus",
        "the same holds for a decade of new goods, without the words of expectation too",
        "anything beyond toys, sports and one year of the rest; labels are read by rule, one in twelve wrong",
        "none set",
    ),
    Measured(
        "lab_lead",
        "name, type, country and maker order samples of one suspect-driven programme in later years, about as well as "
        "TF-IDF on the same facts; probabilities are better calibrated than any baseline's",
        "children's goods or jewellery (a handful of positives), the market's failure rate, other laboratories",
        "AP 0.55 over all rows and 0.42 on unseen names: missed; Brier skill above 0 and calibration error of 0.03 at "
        "most: reached",
    ),
    Measured(
        "lead_risk_control",
        "a threshold that bounds how many failing goods pass holds while goods stay alike, and nearly so when renewed "
        "every quarter",
        "that it holds across a shift when chosen once: it did not",
        "none set",
    ),
    Measured(
        "lab_metals",
        "mercury and arsenic at 1 ppm are ordered in later years far better than by product type or embedding",
        "cadmium (no failed result), and differences of systems within wide intervals (33 positives)",
        "clearly ahead of every baseline: missed, TF-IDF on the same facts is not beaten",
    ),
    Measured(
        "laboratory_strictness",
        "in a simulation with known truth effects of laboratories are recovered within their intervals, and with them "
        "taken out group rates are as near the truth as if the effects were known",
        "real laboratories",
        "rates within two points of truth: missed with 3,000 results (chance alone keeps it from that), reached with "
        "12,000",
    ),
    Measured(
        "inspection_groups",
        "intervals of group failure rates cover what they claim with a round left out",
        "the failure rate of any market; rounds choose suspect goods, and the mean of all predicts about as well",
        "reported, not aimed at",
    ),
    Measured(
        "food_hazard",
        "a method check: one closed-form fit of words and embedding does what a thousand separate machines do",
        "anything of consumer goods",
        "ST1 0.75: missed",
    ),
    Measured(
        "customs",
        "a method check: results remembered by key put fraud and critical rows into one ranking",
        "real declarations: these are synthetic and repeat exact values",
        "precision 0.97 and critical recall 0.55 at 5 %: both reached",
    ),
    Measured(
        "wild_listings",
        "readers with a rubric find the first listings of real marketplaces worth a test more often than random ones",
        "that those goods fail; the readers are language models",
        "none set",
    ),
    Measured(
        "cross_language",
        "Korean and Chinese titles of the same goods are ranked about as well as English ones",
        "real markets; labels of one's own catalogue are worth more than our recalls",
        "within a tenth of English: reached, with intervals that begin below it",
    ),
    Measured(
        "evasion",
        "disguises that the reading was written for are mostly undone, without more alarms on real listings over all",
        "pictures that carry words, sellers who adapt; stuffing ordinary listings with words raises alarms",
        "0.95 of flags kept over all manners: missed; of manners that nobody prepared for about six in ten are kept",
    ),
    Measured(
        "covert_camera",
        "goods that say what they are in three languages are found, named or not, with few false alarms",
        "a real market: titles were invented by the hand that wrote the detector, false alarms fitted on the same "
        "listings",
        "recall 0.95, false alarms 0.5 % over all and 3 % of camera-like listings: reached",
    ),
    Measured(
        "style_probe",
        "nine tenths of the ranking by hazard survive the style of a seller's title",
        "that the view hides who wrote a title: a probe still tells; other languages",
        "dressed ratio 0.9: reached, with an interval that begins below it",
    ),
    Measured(
        "reasons",
        "words that are quoted as reasons are the ones the score hangs on",
        "that readers find them convincing",
        "none set",
    ),
)


def measured_lines() -> list[str]:
    """Return the table of all tasks, in Markdown."""
    return [
        "| task | shown | not shown | aim |",
        "|---|---|---|---|",
        *(f"| `{one.task}` | {one.shown} | {one.not_shown} | {one.aim} |" for one in MEASURED),
    ]
