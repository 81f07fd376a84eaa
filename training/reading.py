"""What a model reads of a listing; one function for a past result and for a seller's listing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from features.audience import audience_of
from features.details import pieces
from features.groups import GroupMatch, GroupMatcher, of_nyc, refine
from features.nameview import NameView, NameViewer
from features.normalize import language, normalize
from features.schema import Listing
from features.taxonomy import Taxonomy
from training.labels import Item

# Share of the evidence from which words outside the title may name the goods.
_SURE = 0.45


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read off one listing.

    Attributes
    ----------
    view
        Name-only view with the way back to the title.
    lab_text
        The view with tokens for category, group, origin and brand: the input of direct laboratory models.
    group
        Product group code, "" where none was recognised.
    group_spans
        Where in the original title the words stand that named the group.
    """

    view: NameView
    lab_text: str
    group: str
    group_spans: tuple[tuple[int, int], ...]
    audience: str
    language: str

    @property
    def type_text(self) -> str:
        """The view with a token for the product group: the n-gram input of the hazard-type model.

        Groups are named in three languages, so the token says in each what only English recalls taught.
        """
        return f"{self.view.text} group:{self.group}" if self.group else self.view.text


@lru_cache(maxsize=2048)
def _token(kind: str, value: str) -> str:
    words = "_".join(normalize(value).text.split())
    return f"{kind}:{words}" if words else ""


def lab_text(view: str, *, category: str, group: str, country: str, maker: str) -> str:
    """Join a name view with one token a fact; an unknown fact adds none."""
    tokens = (
        _token("category", category),
        _token("group", group),
        _token("origin", country),
        _token("brand", maker),
    )
    return " ".join(part for part in (view, *tokens) if part)


class Reader:
    """Reads listings with one taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._viewer = NameViewer(taxonomy)
        self._matcher = GroupMatcher(taxonomy.groups)

    def read(self, listing: Listing) -> Reading:
        """Read one listing."""
        view = self._viewer.view_listing(listing)
        match = self._matcher.match(view.title.text, listing.category)
        if not match.code and (told := self._told_elsewhere(listing)):
            said, code = told
            view = self._viewer.view_listing(listing, view.title, also=(said,))
            match = GroupMatch(code, 0.0)
        found = match.code or (of_nyc(listing.category[-1]) if listing.category else "")
        audience = audience_of(listing, view.title.text, self.taxonomy.groups.get(found)).audience
        group = refine(found, audience, self.taxonomy.groups)
        spans = tuple(view.title.span(start, end) for _, start, end in match.matched if start >= 0)
        text = lab_text(
            view.text,
            category=listing.category[-1] if listing.category else "",
            group=group,
            country=listing.origin or "",
            maker=listing.brand or "",
        )
        return Reading(view, text, group, spans, audience, language(listing.title))

    def _told_elsewhere(self, listing: Listing) -> tuple[str, str] | None:
        """Find goods that neither title nor category names: what the seller says of them, and their group."""
        best, found = _SURE, None
        for piece in pieces(listing):
            match = self._matcher.match(normalize(piece.text).text)
            if match.code and match.score > best:
                best, found = match.score, (piece.text, match.code)
        return found

    def read_item(self, item: Item) -> Reading:
        """Read a past result as if it were listed, so that training and serving see the same."""
        return self.read(item_as_listing(item))


def item_as_listing(item: Item) -> Listing:
    """Return the listing that a labelled item would make."""
    return Listing(
        id=item.id[:256],
        title=item.name[:1000] or "?",
        category=[item.category] if item.category else [],
        origin=item.country or None,
        brand=item.maker[:1000] or None,
    )
