"""The journal club: one advertised figure read, guessed at, pooled by hand and by the engine, and judged in an hour.

A *room* is what the listeners say: their guesses, their answers to exercises, their verdict. What is *asked* is the
state of all controls; its *answer* a pool with the probabilities of the claim. A *panel* is a set of live controls
with what follows from them; without a front end the same is shown once, at the values of the parameters.

Names are loaded when first asked for, and ipywidgets only when a front end looks on.
"""

from __future__ import annotations

from cellclaims.lazy import load_lazily

#: Public name -> the module of this package that holds it.
WHERE = {
    "load": "claim_file",
    "Asked": "asked",
    "asked_of": "asked",
    "pool_of": "asked",
    "question_of": "asked",
    "narrowed": "asked",
    "Answer": "answers",
    "answer": "answers",
    "claimed_of": "answers",
    "marks_of": "answers",
    "forest_svg": "light_forest",
    "Room": "room",
    "guesses_table": "room",
    "verdict_beside": "room",
    "ByHand": "by_hand",
    "three": "by_hand",
    "said": "advertisement",
    "two_states": "advertisement",
    "exercises": "exercise_set",
    "Exercise": "exercises",
    "ask": "showing",
    "guess": "showing",
    "live": "showing",
    "judge": "showing",
    "is_watched": "showing",
    "Panel": "panel",
    "subsets": "what_ifs",
    "by_time": "what_ifs",
    "subsets_table": "what_ifs",
    "as_if_independent": "what_ifs",
    "overlap_words": "what_ifs",
    "write_slides": "slides",
    "write_worksheet": "worksheet",
}

__all__ = sorted(WHERE)

load_lazily(__name__)
