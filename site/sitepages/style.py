"""The style of the reports for the site, with colours for the switch between light and dark."""

from __future__ import annotations

import re

from cellclaims.runner import page
from sitepages import SiteError

#: The two blocks of variables of the reports' style: light, and dark where the system asks for it.
LIGHT = re.compile(r"^:root \{\n(.*?)\n\}", re.MULTILINE | re.DOTALL)
DARK = re.compile(r"prefers-color-scheme: dark\) \{\n  :root \{\n(.*?)\n  \}\n\}", re.DOTALL)


def stylesheet() -> str:
    """Return the style sheet of the reports, with its colours again for a chosen light or dark mode.

    Raises
    ------
    SiteError
        If the style sheet does not contain the two blocks of colours.
    """
    reports = str(page.shell().style)
    light, dark = LIGHT.search(reports), DARK.search(reports)
    if not (light and dark):
        raise SiteError("style.css: expected colours for light and for dark, found only one of them or none")
    chosen = {"light": light[1].replace("color-scheme: light dark", "color-scheme: light"), "dark": dark[1]}
    chosen["dark"] = f"  color-scheme: dark;\n{chosen['dark']}"
    blocks = "".join(f":root[data-scheme={name}] {{\n{block}\n}}\n" for name, block in chosen.items())
    return f"{reports}\n@media screen {{\n{blocks}}}\n"  # paper is always light
