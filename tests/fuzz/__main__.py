"""`python -m tests.fuzz`: feed every reader of foreign input with bytes that coverage leads to, and tell what fell.

Each target runs in a process of its own (atheris, libFuzzer), begins with its corpus and ends after its
seconds, at the first error, after 5 s over one input, or beyond 1 GB. What it falls over is kept, with the one
line that feeds it again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.corpus.items import items_of
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".fuzz-venv" / "bin" / "python"
HANG_S, MEMORY_MB, INPUT_BYTES_MAX = 5, 1_024, 65_536
SLACK_S = 60
FIGURE = re.compile(r"stat::(\w+):\s+(\d+)")
ERROR = re.compile(r"\s*(\w+\.)*\w*(Error|Exception)\b|.*ERROR: libFuzzer")
COVERED = re.compile(r"cov: (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of one target."""

    target: str
    executions: int
    covered: int
    memory_mb: int
    finding: str


def main() -> int:
    """Return 0 if nothing fell over, 1 if something did."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long each target is fed (default 60)")
    parser.add_argument("--only", default="", help="targets that have this in their name")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="another seed leads elsewhere (default: drawn)")
    parser.add_argument("--findings", type=Path, default=None, help="where to keep what falls (default: a new folder)")
    parser.add_argument("--feed", nargs=2, metavar=("TARGET", "FILE"), help="feed one target with one file, here")
    given = parser.parse_args()
    if given.feed:
        name, path = given.feed
        print(TARGETS[name](Path(path).read_bytes()))
        return 0
    findings = given.findings or Path(tempfile.mkdtemp(prefix="copytrade-findings-"))
    findings.mkdir(parents=True, exist_ok=True)
    names = [name for name in TARGETS if given.only in name]
    print(f"{'target':<16} {'executions':>11} {'a second':>9} {'edges':>6} {'MB':>5}  finding", flush=True)
    with ThreadPoolExecutor(given.jobs) as pool:
        found = []
        for one in pool.map(lambda name: _fuzz(name, given.seconds, given.seed, findings), names):
            found.append(one)
            rate = one.executions // max(1, given.seconds)
            told = f"{one.target:<16} {one.executions:>11,} {rate:>9,} {one.covered:>6} {one.memory_mb:>5}"
            print(f"{told}  {one.finding or 'none'}", flush=True)
    fallen = [one for one in found if one.finding]
    executions = sum(one.executions for one in found)
    print(f"{len(found)} targets, {executions:,} executions, {len(fallen)} with a finding")
    return 1 if fallen else 0


def _fuzz(name: str, seconds: int, seed: int, findings: Path) -> Found:
    with tempfile.TemporaryDirectory(prefix=f"copytrade-fuzz-{name}-") as folder:
        for number, item in enumerate(items_of(name)):
            if len(item.data) <= INPUT_BYTES_MAX:
                (Path(folder) / f"{number:04d}").write_bytes(item.data)
        kept = findings / f"{name}-"
        options = {
            "max_total_time": seconds,
            "timeout": HANG_S,
            "rss_limit_mb": MEMORY_MB,
            "max_len": INPUT_BYTES_MAX,
            "print_final_stats": 1,
            "artifact_prefix": kept,
            **({"seed": seed} if seed else {}),
        }
        command = [PYTHON, "-m", "tests.fuzz.feeding", name, *(f"-{key}={value}" for key, value in options.items())]
        done = subprocess.run(
            [*command, folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + SLACK_S,
            check=False,
        )
    figures = dict(FIGURE.findall(done.stderr))
    covered = COVERED.findall(done.stderr)
    return Found(
        target=name,
        executions=int(figures.get("number_of_executed_units", 0)),
        covered=int(covered[-1]) if covered else 0,
        memory_mb=int(figures.get("peak_rss_mb", 0)),
        finding="" if done.returncode == 0 else _finding(name, findings, done.stderr + done.stdout),
    )


def _finding(name: str, findings: Path, told: str) -> str:
    """Return the last error that was told, and how to meet it again."""
    (findings / f"{name}.txt").write_text(told)
    errors = [line for line in told.splitlines() if ERROR.match(line)]
    files = sorted(findings.glob(f"{name}-*"))
    again = f"; again: .venv/bin/python -m tests.fuzz --feed {name} {files[-1]}" if files else ""
    return f"{errors[-1].strip()[:120] if errors else 'it ended'}{again}"


if __name__ == "__main__":
    sys.exit(main())
