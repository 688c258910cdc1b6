"""Small studies in the shape of the registry's API v2, made up for the tests of the harvest."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

#: A test that writes or reads Parquet needs the extra of that name.
NEEDS_PYARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="the extra parquet is not installed")
#: The formats of the tables of a harvest.
FORMATS = ["csv", pytest.param("parquet", marks=NEEDS_PYARROW)]

REPOSITORY = Path(__file__).resolve().parent.parent
OUTCOMES = "/resultsSection/outcomeMeasuresModule/outcomeMeasures"
GROUPS = ("Islets", "Placebo")


def counts(*values):
    """Denominators of participants, one a group."""
    return [{"units": "Participants", "counts": [{"groupId": f"OG00{g}", "value": v} for g, v in enumerate(values)]}]


def measured(*values, **more):
    """A class without titles: a measurement a group; a value is text, or all fields of the measurement."""
    fields = [one if isinstance(one, dict) else {"value": one, **more} for one in values]
    return {"categories": [{"measurements": [{"groupId": f"OG00{g}", **one} for g, one in enumerate(fields)]}]}


def outcome(title="HbA1c at Week 52", classes=None, **more):
    """An outcome: MEAN and SD of HbA1c in two groups of 20 and 18, unless told otherwise."""
    return {
        "type": "PRIMARY",
        "title": title,
        "timeFrame": "Week 52",
        "reportingStatus": "POSTED",
        "paramType": "MEAN",
        "dispersionType": "Standard Deviation",
        "unitOfMeasure": "percent",
        "groups": [{"id": f"OG00{g}", "title": name} for g, name in enumerate(GROUPS)],
        "denoms": counts("20", "18"),
        "classes": [measured("7.1", "8.2", spread="0.9")] if classes is None else classes,
        **more,
    }


def counted(title, *values, **more):
    """An outcome that counts participants; ``more`` as in :func:`outcome`."""
    kind = {"paramType": "COUNT_OF_PARTICIPANTS", "unitOfMeasure": "Participants", "dispersionType": None}
    return outcome(title, **{"classes": [measured(*values)], **kind, **more})


def study(*outcomes, events=None):
    """A study with these posted outcomes and this adverse events module."""
    results = {"outcomeMeasuresModule": {"outcomeMeasures": list(outcomes)}}
    if events is not None:
        results["adverseEventsModule"] = events
    identification = {"nctId": "NCT01234567", "briefTitle": "Made up"}
    return {"protocolSection": {"identificationModule": identification}, "resultsSection": results, "hasResults": True}


def at(record, pointer):
    """What stands at a JSON pointer."""
    for step in pointer.split("/")[1:]:
        record = record[int(step)] if isinstance(record, list) else record[step]
    return record


def recorded(shared):
    """The whole recorded studies, parsed, by file name."""
    return {
        path.name: json.loads(path.read_bytes()) for path in sorted((shared / "registry" / "ctgov-v2").glob("*.json"))
    }
