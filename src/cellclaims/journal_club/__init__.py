"""The journal club: one paper, one hour, one patient, and an advertised figure that the patient brings.

An *audience* is what the listeners say: predictions, judgements, a sentence. What is *asked* is the state of all
controls; its *answer* a pool, and what it says of the advertised figure. A *panel* is a set of live controls with what
follows from them; without a front end the same is shown once, at the values of the parameters. A *sitting* is what
slides, worksheet and solutions are made from.

Names are loaded when first used, and ipywidgets only when a front end looks on.
"""

from __future__ import annotations

from cellclaims.lazy import load_lazily

#: Public name -> its module in this package.
WHERE = {
    "load": "claim_file",
    "Controls": "controls",
    "controls_of": "controls",
    "pool_of": "controls",
    "question_of": "controls",
    "ClaimAnswer": "controls",
    "answer": "controls",
    "advertised_for": "controls",
    "marks_of": "controls",
    "differences": "controls",
    "labels": "paper",
    "forest_svg": "quick_forest",
    "Audience": "audience",
    "predictions_table": "audience",
    "ratings_table": "audience",
    "typed_number": "audience",
    "vignette": "paper",
    "page_table": "paper",
    "facts": "paper",
    "results_table": "paper",
    "bias_table": "paper",
    "agreement": "paper",
    "support_table": "paper",
    "outcomes_near": "paper",
    "outcome_table": "paper",
    "harms_table": "paper",
    "alternatives_table": "paper",
    "control_arms_table": "paper",
    "registration_table": "paper",
    "registration_words": "paper",
    "example_sentence": "paper",
    "finding_table": "paper",
    "ByHand": "by_hand",
    "three": "by_hand",
    "Exercise": "exercises",
    "exercise_set": "exercises",
    "by_time": "exercises",
    "islets_by_time": "exercises",
    "times_table": "exercises",
    "overlap_table": "exercises",
    "as_if_independent": "exercises",
    "overlap_of": "exercises",
    "overlap_words": "exercises",
    "Panel": "widgets",
    "ask": "widgets",
    "predict": "widgets",
    "judge_bias": "widgets",
    "readings": "widgets",
    "rate": "widgets",
    "live": "widgets",
    "is_watched": "widgets",
    "published": "handouts",
    "sheet_pool": "handouts",
    "sitting": "handouts",
    "write_slides": "handouts",
    "write_worksheet": "handouts",
    "write_solutions": "handouts",
}

__all__ = sorted(WHERE)

load_lazily(__name__)
