"""WHO ICTRP: the XML export that a person downloaded (with rows of ChiCTR, EUCTR and other registers).

The search portal has no interface for programs and its export stands behind a dialogue of terms: a person downloads
it and ``cellclaims pull --from FOLDER`` takes it over. Nothing is asked from here.
"""

from __future__ import annotations

from cellclaims.registries.answers import Page, oddity, parsed_xml, text_warnings, xml_texts

SOURCE = "ictrp"
ROOT = "Trials_downloaded_from_ICTRP"
#: What every row of an export has, with a text or empty.
FIELDS = ("TrialID", "Public_title", "Source_Register", "Recruitment_Status", "Date_registration3")


def look_export(body: bytes, where: str) -> Page:
    """Look an export through: its trials by their numbers.

    Raises
    ------
    RefusedAnswer
        If it is no export, is cut off, or declares an entity.

    Examples
    --------
    >>> trial = b"<Trial><TrialID>ChiCTR1 </TrialID></Trial>"
    >>> export = b"<Trials_downloaded_from_ICTRP>" + trial + b"</Trials_downloaded_from_ICTRP>"
    >>> look_export(export, "export.xml").ids
    ('ChiCTR1',)
    """
    root = parsed_xml(body, where, ROOT)
    trials = root.findall("Trial")
    warnings = text_warnings(SOURCE, where, xml_texts(root, where))
    lacking = [
        f"{field} of Trial {n}" for n, one in enumerate(trials, 1) for field in FIELDS if one.find(field) is None
    ]
    if lacking:
        warnings.append(oddity(SOURCE, "missing fields", f"{where}: {len(lacking)} fields, first {lacking[0]}"))
    ids = tuple(" ".join((one.findtext("TrialID") or "").split()) for one in trials)
    twice = sorted({one for one in ids if one and ids.count(one) > 1})
    warnings += [oddity(SOURCE, "duplicate record", f"{where}: {one}") for one in twice]
    return Page(ids, warnings=tuple(warnings))
