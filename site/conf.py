"""Configuration of Sphinx for the folder written by ``sitepages.stage``; see docs/site.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cellclaims
from cellclaims.runner.page import provenance

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

origin = provenance(HERE.parent / "data")

project = "cellclaims"
version = release = cellclaims.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sitepages.html_writer"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["LICENSE*"]
smartquotes_action = "D"  # two hyphens are a dash; quotes are shown as they are typed

myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_digits = False
myst_dmath_allow_space = False
myst_disable_syntax = ["myst_line_comment", "myst_block_break"]  # a line may start with a percent sign
myst_heading_anchors = 4

suppress_warnings = ["misc.highlighting_failure"]  # Pygments cannot highlight CSV; such code is shown without colours

autodoc_typehints = "none"  # the docstrings name types with shapes and units
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]  # names in a list, not targets that would be taken twice
napoleon_use_param = False  # a type such as "shape (k,)" is words, not a name to link to
napoleon_use_rtype = False
add_module_names = False

html_theme_path = [str(HERE / "theme")]
html_theme = "cellclaims"
html_title = "cellclaims"
html_math_renderer = "mathml"
html_extra_path = [os.environ["CELLCLAIMS_SITE_EXTRA"]]
html_copy_source = False
html_show_sphinx = False
html_use_index = True
html_domain_indices = False
html_permalinks_icon = "#"
html_show_search_summary = True  # the theme turns it off for pages opened as files, which cannot read others
html_context = {"origin": origin}
