"""Made-up studies in the shape of ClinicalTrials.gov v2, and snapshots of them."""

from __future__ import annotations

import json

from cellclaims.registries import Snapshot, Store

EARLY, LATE = "20260520T101500Z", "20261120T101500Z"


def study(number="NCT01234567", status="RECRUITING", **more):
    """A study with little in it; ``more`` are further sections."""
    modules = {
        "identificationModule": {"nctId": number, "briefTitle": f"Trial {number}"},
        "statusModule": {"overallStatus": status, "startDateStruct": {"date": "2013-02"}},
    }
    return {"protocolSection": modules, "hasResults": "resultsSection" in more, **more}


def outcome(title="HbA1c", value="7.1", **more):
    """An outcome of two groups at one time; ``value`` is that of the first."""
    groups = [{"id": f"OG00{place}", "title": name} for place, name in enumerate(("Islets", "Insulin"))]
    measured = [{"groupId": "OG000", "value": value}, {"groupId": "OG001", "value": "8.0"}]
    classes = [{"title": "Week 52", "categories": [{"measurements": measured}]}]
    return {"title": title, "timeFrame": "52 weeks", "groups": groups, "classes": classes, **more}


def results(*outcomes, **modules):
    """A section of posted results."""
    return {"outcomeMeasuresModule": {"outcomeMeasures": list(outcomes)}, **modules}


def as_bytes(content):
    """Bytes as they are, anything else as JSON."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def kept(store, name, *bodies):
    """A snapshot of bodies ``(source, content)`` or ``(source, content, status)``, whose answers are in the store."""
    time, answers = f"{name[:4]}-{name[4:6]}-{name[6:8]}T10:15:00Z", []
    for number, (source, content, *status) in enumerate(bodies):
        facts = {"kind": "search", "address": f"https://host/{number}", "time": time, "status": (*status, 200)[0]}
        answers.append(store.keep(as_bytes(content), source=source, parameters={}, **facts))
    return Snapshot(name, time, time, "pull", tuple(answers))


def two_snapshots(folder, old, new):
    """A store with two snapshots, each a list of bodies."""
    store = Store(folder)
    for name, bodies in ((EARLY, old), (LATE, new)):
        store.add(kept(store, name, *bodies))
    return store
