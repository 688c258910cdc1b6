"""The pages of the site: what the repository holds, as the Markdown and HTML that Sphinx puts together."""

from __future__ import annotations

from cellclaims.errors import ReviewError


class SiteError(ReviewError):
    """The site cannot be made, or would not be true: says the page or file, what was expected and what was found."""
