"""The journal club: one advertised figure read, guessed at, pooled by hand and by the engine, and judged in an hour.

A *audience* is what the listeners say: their guesses, their answers to exercises, their finding. What is *asked* is the
state of all controls; its *answer* a pool with the probabilities of the claim. A *panel* is a set of live controls
with what follows from them; without a front end the same is shown once, at the values of the parameters.

Names are loaded when first asked for, and ipywidgets only when a front end looks on.
"""

from __future__ import annotations

from cellclaims.lazy import load_lazily

#: Public name -> the module of this package that holds it.
WHERE = {
    "load": "claim_file",
    "Controls": "controls",
    "controls_of": "controls",
    "pool_of": "controls",
    "question_of": "controls",
    "ClaimAnswer": "controls",
    "answer": "controls",
    "claimed_of": "controls",
    "marks_of": "controls",
    "forest_svg": "quick_forest",
    "Audience": "widgets",
    "guesses_table": "widgets",
    "finding_beside": "widgets",
    "ByHand": "by_hand",
    "three": "by_hand",
    "said": "widgets",
    "exercise_set": "exercises",
    "Exercise": "exercises",
    "ask": "widgets",
    "guess": "widgets",
    "live": "widgets",
    "judge": "widgets",
    "is_watched": "widgets",
    "Panel": "widgets",
    "subsets": "exercises",
    "by_time": "exercises",
    "subsets_table": "exercises",
    "as_if_independent": "exercises",
    "overlap_words": "exercises",
    "write_slides": "handouts",
    "write_worksheet": "handouts",
}

__all__ = sorted(WHERE)

load_lazily(__name__)
