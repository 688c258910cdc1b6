"""How much the evidence can bear: certainty by stated rules, with every step down and who judged it."""

from cellclaims.appraisal.certainty import LEVELS, Certainty, Step, certainty_of_pool, certainty_of_reports

__all__ = ["LEVELS", "Certainty", "Step", "certainty_of_pool", "certainty_of_reports"]
