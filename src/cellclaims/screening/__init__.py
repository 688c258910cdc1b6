"""Screening: the records that a search found, in a list to decide in, and the recorded decisions.

:mod:`cellclaims.screening.records` puts the records of a snapshot together, :mod:`cellclaims.screening.worklist` sorts
those on which nobody has decided and writes them for a person, and :mod:`cellclaims.screening.decisions` records what
the person decided. What was decided is read by :mod:`cellclaims.evidence.screened`.
"""
