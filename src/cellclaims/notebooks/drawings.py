"""Drawings of a page: SVG that can stand inside HTML beside others, and small pictures of it.

An SVG written for a file of its own speaks to the whole page once it stands inside one: its ids and its style
sheet would reach the other drawings. Here every id gets a prefix and every style rule a scope.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREFS = ("href", f"{{{XLINK}}}href")

#: Parts that a page has no use for: what the drawing says stands at the figure, the rest would be active content.
UNWANTED = frozenset(f"{{{SVG}}}{name}" for name in ("metadata", "title", "desc", "script", "foreignObject"))


def inline(svg: str, prefix: str) -> str:
    """The drawing as an ``<svg>`` element for a page, hidden from screen readers (its figure carries the words).

    Parameters
    ----------
    svg : str
        A whole SVG document.
    prefix : str
        Unique in the page; it precedes every id.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        If ``svg`` is not well-formed.

    Examples
    --------
    >>> inline('<svg xmlns="http://www.w3.org/2000/svg" width="72pt"><g id="a"/></svg>', "f1")
    '<svg xmlns="http://www.w3.org/2000/svg" style="max-width:72pt" id="f1" aria-hidden="true"><g id="f1-a" /></svg>'
    """
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(svg)
    for parent in root.iter():
        for child in [child for child in parent if child.tag in UNWANTED]:
            parent.remove(child)
        _confine(parent, prefix)
    for name in ("role", "aria-labelledby", "aria-label", "height"):
        root.attrib.pop(name, None)
    if width := root.attrib.pop("width", ""):
        root.set("style", f"max-width:{width}")
    root.set("id", prefix)
    root.set("aria-hidden", "true")
    return ET.tostring(root, encoding="unicode")


def _confine(element: ET.Element, prefix: str) -> None:
    """Prefix the ids and references of one element; drop event handlers and links to anywhere else."""
    for name, value in list(element.attrib.items()):
        if name == "id":
            element.set(name, f"{prefix}-{value}")
        elif name in HREFS and value.startswith("#"):
            element.set(name, f"#{prefix}-{value[1:]}")
        elif name.startswith("on") or (name in HREFS and not value.startswith("data:image/")):
            del element.attrib[name]
        else:
            element.set(name, re.sub(r"url\(\s*#", f"url(#{prefix}-", value))
    if element.tag == f"{{{SVG}}}style":
        element.text = re.sub(r"([^{}]+)\{", rf"#{prefix} \1{{", element.text or "")


def words(svg: str) -> str:
    """What the drawing says about itself: its description, else its title, else nothing.

    Examples
    --------
    >>> words('<svg xmlns="http://www.w3.org/2000/svg"><title>A line</title></svg>')
    'A line'
    """
    root = ET.fromstring(svg)
    found = (root.findtext(f"{{{SVG}}}{name}", default="").strip() for name in ("desc", "title"))
    return next((text for text in found if text), "")


def data_uri(svg: str) -> str:
    """The drawing as an address that holds it, for an ``<img>``: a small picture apart from the page's styles."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
