"""Notebooks as functions: declared parameters in, one executed file and one page out.

The *source* is a notebook of ``notebooks/``, committed with the outputs of its default run. A *run* executes
it with some parameters into a folder and leaves the *executed* notebook there; a *page* is that notebook as
one HTML file. *Run traces* (timings, random ids, the kernel's version, where files went) differ from run to
run and tell a reader nothing; they are stripped, so that equal results are equal files.

Modules: ``parameters`` (what a notebook declares, what it was given), ``run`` (one notebook), ``numbers`` (the
pools that it recorded, as files), ``render`` (one page), ``review`` (all notebooks, what is out of date, the index).
"""

from __future__ import annotations

import sys

# jsonschema would compile a grammar of internationalised addresses when it is imported, which takes a second; neither
# notebooks nor parameter sets hold any
sys.modules.setdefault("rfc3987_syntax", None)
