"""What a model reads of a listing; one function for a past result and for a seller's listing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from features.accessories import accessory_of
from features.audience import audience_of
from features.details import pieces, title_like
from features.groups import GroupMatch, GroupMatcher, of_nyc, refine
from features.nameview import NameView, NameViewer
from features.normalize import Normalized, language, normalize
from features.schema import Listing
from features.taxonomy import Taxonomy
from features.titles import title_of
from training.labels import Item

# Share of the evidence from which words outside the title may name the goods.
_SURE = 0.45
# The same, for what is written like a title.
_LIKELY = 0.33
# A title of so many characters and blanks that names so many kinds of goods may hide one among them: it is read in
# parts.
_LONG, _MANY_WORDS, _MANY_GOODS = 20, 6, 3
_WINDOWS = ((0.0, 0.5), (0.25, 0.6), (0.3, 0.75), (0.5, 1.0))


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
    title
        The whole title, of which ``view`` may hold a part.
    accessory
        Whether the title offers a part or a case for other goods, which the view then leaves out.
    borne_out
        Whether title and category name the same goods.
    kinds
        How many kinds of goods the title names.
    """

    view: NameView
    lab_text: str
    group: str
    group_spans: tuple[tuple[int, int], ...]
    audience: str
    language: str
    title: Normalized
    accessory: bool = False
    borne_out: bool = False
    kinds: int = 0

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


@lru_cache(maxsize=2)
def _matcher_of(taxonomy: Taxonomy) -> GroupMatcher:
    # Half of what opening a bundle costs, and the same for every bundle of one taxonomy.
    return GroupMatcher(taxonomy.groups)


class Reader:
    """Reads listings with one taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._viewer = NameViewer(taxonomy)
        self._matcher = _matcher_of(taxonomy)

    def read(self, listing: Listing) -> Reading:
        """Read one listing."""
        title = title_of(listing.title)
        if without := accessory_of(title, self._names_goods):
            view = self._viewer.view_listing(listing, without)
            return self._reading(listing, title, view, self._matcher.match(without.text), accessory=True)
        view = self._viewer.view_listing(listing, title)
        match = self._matcher.match(title.text, listing.category)
        if not match.code and (told := self._told_elsewhere(listing)):
            said, code = told
            view = self._viewer.view_listing(listing, title, also=(said,))
            match = GroupMatch(code, 0.0, kinds=match.kinds)
        return self._reading(listing, title, view, match)

    def others(self, listing: Listing, reading: Reading) -> list[Reading]:
        """Return other readings of a listing that may hide what it offers; none for most.

        Goods are hidden under a bland title, in an attribute or at the end of a description; or among the names of
        many other goods. Only listings are read so, never past results.
        """
        if reading.accessory:
            return []
        return [*self._hidden(listing, reading), *self._stuffed(listing, reading)]

    def _hidden(self, listing: Listing, reading: Reading) -> list[Reading]:
        """Read what is said outside the title as the title, where nothing else said bears the title out."""
        if reading.borne_out or not (listing.attributes or listing.description):
            return []
        best: tuple[float, str, GroupMatch] | None = None
        for text in title_like(listing):
            match = self._matcher.match(normalize(text).text)
            if not match.code:
                continue
            if reading.group_spans and self._matcher.related(match.code, reading.group):
                return []
            if match.score >= _LIKELY and (best is None or match.score > best[0]):
                best = (match.score, text, match)
        if best is None:
            return []
        title = reading.title
        nothing = Normalized(title.original, " " * len(title.text), title.offsets)
        view = self._viewer.view_listing(listing, nothing, also=(best[1],))
        return [self._reading(listing, title, view, GroupMatch(best[2].code, best[2].score))]

    def _stuffed(self, listing: Listing, reading: Reading) -> list[Reading]:
        """Read parts of a long title that names many goods."""
        text = reading.title.text
        if reading.kinds < _MANY_GOODS or len(text) < _LONG or text.count(" ") < _MANY_WORDS:
            return []
        found: list[Reading] = []
        for part in _WINDOWS:
            window = _window(reading.title, part)
            view = self._viewer.view_listing(listing, window)
            found.append(self._reading(listing, reading.title, view, self._matcher.match(window.text)))
        return found

    def _names_goods(self, text: str) -> bool:
        return bool(self._matcher.named(text))

    def _reading(
        self,
        listing: Listing,
        title: Normalized,
        view: NameView,
        match: GroupMatch,
        *,
        accessory: bool = False,
    ) -> Reading:
        category = "" if accessory or not listing.category else listing.category[-1]
        found = match.code or (of_nyc(category) if category else "")
        audience = audience_of(listing, title.text, self.taxonomy.groups.get(found)).audience
        group = refine(found, audience, self.taxonomy.groups)
        spans = tuple(title.span(start, end) for _, start, end in match.matched if start >= 0)
        text = lab_text(
            view.text, category=category, group=group, country=listing.origin or "", maker=listing.brand or ""
        )
        said = bool(spans) and any(start < 0 for _, start, _ in match.matched)
        tongue = language(listing.title)
        return Reading(view, text, group, spans, audience, tongue, title, accessory, said, match.kinds)

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


def _window(title: Normalized, part: tuple[float, float]) -> Normalized:
    """Blank everything but a part of a title, whole words only."""
    text = title.text
    start = text.rfind(" ", 0, int(part[0] * len(text)) + 1) + 1
    end = text.find(" ", int(part[1] * len(text)))
    end = len(text) if end < 0 else end
    return Normalized(
        title.original, f"{' ' * start}{text[start:end]}{' ' * (len(text) - end)}", title.offsets
    )


def item_as_listing(item: Item) -> Listing:
    """Return the listing that a labelled item would make."""
    return Listing(
        id=item.id[:256],
        title=item.name[:1000] or "?",
        category=[item.category] if item.category else [],
        origin=item.country or None,
        brand=item.maker[:1000] or None,
    )
