"""The pages of the website: Markdown and HTML from the repository, for Sphinx."""

from __future__ import annotations

from cellclaims.errors import ReviewError


class SiteError(ReviewError):
    """The site cannot be built; the message names page or file, what was expected and what was found."""
