"""Running notebooks with parameters, and rendering each as one page.

The *source* is a notebook of ``notebooks/``, committed with the outputs of its default run. A *run* executes
it with some parameters into a folder and leaves the *executed* notebook there; a *page* is that notebook as
one HTML file. *Run traces* (timings, random ids, the version of the kernel, output folders) differ from run to
run and are removed, so that equal results are equal files.

Modules: ``run`` (one notebook and its parameters), ``page`` (its page and its numbers), ``review`` (all notebooks and
the index), ``batch`` and ``batch_report`` (reports of a file of ``parameter_sets``), ``workers``, ``workers_dask``,
``kernels`` and ``kernel_parent`` (processes), ``pdf`` (printing).
"""

from __future__ import annotations

import sys

# jsonschema would compile a grammar of internationalised addresses when imported, which takes a second; notebooks
# and parameter sets do not contain such addresses
sys.modules.setdefault("rfc3987_syntax", None)
