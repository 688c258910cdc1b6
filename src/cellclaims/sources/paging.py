"""Guards of a search that comes page by page: it ends, and what it brought is set against what it announced."""

from __future__ import annotations

from cellclaims.errors import RefusedAnswer
from cellclaims.sources.addresses import shown
from cellclaims.sources.oddities import oddity
from cellclaims.sources.shapes import Page

#: More pages than any question of this review can fill; a search without end stops here.
MOST_PAGES = 2000


class Guard:
    """Looks at each page of one search as it comes.

    Parameters
    ----------
    source, where : str
        The source and the address, for messages.

    Examples
    --------
    >>> guard = Guard("ctgov", "https://host")
    >>> guard.turn(Page(("NCT1", "NCT2"), total=3, token="b"))
    []
    >>> guard.turn(Page(("NCT2",)))
    ['ctgov: duplicate record: https://host: page 2: NCT2', 'ctgov: duplicate page: https://host: page 2']
    >>> guard.end()
    ['ctgov: total differs: https://host: announced 3 records, found 2']
    """

    def __init__(self, source: str, where: str) -> None:
        self.source, self.where = source, where
        self.tokens: set[str] = set()
        self.ids: dict[str, None] = {}
        self.unnamed = self.pages = 0
        self.total: int | None = None

    def turn(self, page: Page) -> list[str]:
        """The warnings that a page gives beside the earlier ones.

        Raises
        ------
        RefusedAnswer
            If its token was given before, or the search has no end.
        """
        self.pages += 1
        if self.pages > MOST_PAGES:
            raise RefusedAnswer(f"{self.where}: expected at most {MOST_PAGES:,} pages, found more")
        if page.token and page.token in self.tokens:
            raise RefusedAnswer(
                f"{self.where}: expected a new token on page {self.pages}, found {shown(repr(page.token), 60)} again: "
                "the pages run in a circle"
            )
        self.tokens.add(page.token)
        return [oddity(self.source, kind, f"{self.where}: {detail}") for kind, detail in self._oddities(page)]

    def _oddities(self, page: Page) -> list[tuple[str, str]]:
        found, named = [], [one for one in page.ids if one]
        twice = [one for n, one in enumerate(named) if one in self.ids or one in named[:n]]
        if twice:
            more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
            found.append(("duplicate record", f"page {self.pages}: {shown(twice[0], 60)}{more}"))
        if named and all(one in self.ids for one in named):
            found.append(("duplicate page", f"page {self.pages}"))
        if None not in (page.total, self.total) and page.total != self.total:
            found.append(("total changed", f"from {self.total:,} to {page.total:,} on page {self.pages}"))
        self.total = self.total if page.total is None else page.total
        self.ids.update(dict.fromkeys(named))
        self.unnamed += len(page.ids) - len(named)
        return found

    def end(self) -> list[str]:
        """The warning of a search that brought more or less than it announced."""
        count = len(self.ids) + self.unnamed
        if self.total is None or self.total == count:
            return []
        detail = f"{self.where}: announced {self.total:,} records, found {count:,}"
        return [oddity(self.source, "total differs", detail)]


def grouped(numbers: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    """Numbers in groups of at most ``size``, in their order.

    Examples
    --------
    >>> grouped(("a", "b", "c"), 2)
    [('a', 'b'), ('c',)]
    """
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
