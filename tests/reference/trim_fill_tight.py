"""Run trim and fill with REML again in metafor, tightly: ``python tests/reference/trim_fill_tight.py``.

Needs Rscript. Writes ``trim_fill_tight.csv``: one line for each record of the pack with REML trim and fill that metafor
3.8-1 (R 4.2.2) could fit so; where its Fisher scoring does not converge there is none.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = "key,side,k0,se_k0,beta,se,ci_lb,ci_ub,tau2,I2,Q\n"


def rows() -> str:
    """Effects and variances of every record, as a table."""
    lines = ["key,estimator,yi,vi"]
    with tarfile.open(HERE / "oracle.tar.xz") as archive:
        for entry in sorted(archive.getnames()):
            if not entry.endswith(".json"):
                continue
            analysis = json.load(archive.extractfile(entry))
            for record in (analysis.get("diagnostics") or {}).get("trimfill") or {}:
                if record.startswith("REML"):
                    key = f"{entry.removesuffix('.json')} {record}"
                    columns = zip(analysis["escalc"]["yi"], analysis["escalc"]["vi"], analysis["kept"], strict=True)
                    lines += [f"{key},{record.split('_')[1]},{y!r},{v!r}" for y, v, kept in columns if kept]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command = ["Rscript", str(HERE / "trim_fill_tight.R")]
    done = subprocess.run(command, input=rows(), capture_output=True, text=True, check=True)
    (HERE / "trim_fill_tight.csv").write_text(HEADER + done.stdout)
