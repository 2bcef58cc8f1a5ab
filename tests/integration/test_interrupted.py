"""Ctrl-C while the program is still being loaded ends it without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = 130
ON_THE_WAY = """
import sys
from importlib.abc import MetaPathFinder

class CtrlC(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
sys.argv = ["copytrade", "status"]
from copytrade.__main__ import main
main()
"""


@pytest.mark.processes
@pytest.mark.parametrize("module", ["typer", "copytrade.app", "copytrade.adapters.sql.reports"])
def test_a_start_that_is_interrupted_says_nothing(module: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ON_THE_WAY.format(module=module)],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )

    assert "Traceback" not in ended.stderr
    assert ended.returncode in {1, INTERRUPTED}
