"""Run selection models with integrals again in metafor, tightly: ``python tests/reference/selection_tight.py``.

Needs Rscript and about ten minutes. Writes ``selection_tight.csv``: one line for each record of the pack whose weight
function is not a step function, by metafor 3.8-1 (R 4.2.2).
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = "key,log_likelihood,beta,se,tau2,se_tau2,delta,se_delta,delta_2,se_delta_2\n"


def rows() -> str:
    """Effects and variances of every record, as a table."""
    lines = ["key,type,yi,vi"]
    with tarfile.open(HERE / "oracle.tar.xz") as archive:
        for entry in sorted(archive.getnames()):
            if not entry.endswith(".json"):
                continue
            analysis = json.load(archive.extractfile(entry))
            for record in (analysis.get("diagnostics") or {}).get("selmodel") or {}:
                if "step" not in record:
                    start = f"{entry.removesuffix('.json')} {record},{record.split('_')[-1]}"
                    columns = zip(analysis["escalc"]["yi"], analysis["escalc"]["vi"], analysis["kept"], strict=True)
                    lines += [f"{start},{y!r},{v!r}" for y, v, kept in columns if kept]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command = ["Rscript", str(HERE / "selection_tight.R")]
    done = subprocess.run(command, input=rows(), capture_output=True, text=True, check=True)
    (HERE / "selection_tight.csv").write_text(HEADER + done.stdout)
