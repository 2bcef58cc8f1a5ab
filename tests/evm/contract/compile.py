"""Compile Exchanges.sol into exchanges.json; run it after a change, and commit both.

scripts/anvil compiler && .venv/bin/python tests/evm/contract/compile.py
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "Exchanges.sol"
COMPILED = HERE / "exchanges.json"
COMPILER = HERE.parents[2] / ".venv/anvil/node_modules/.bin/solcjs"

SETTINGS = {
    "optimizer": {"enabled": True, "runs": 200},
    "evmVersion": "cancun",
    # Nothing but the code: the same source gives the same bytes.
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {"*": {"*": ["evm.deployedBytecode.object", "evm.methodIdentifiers"]}},
}


def compiled() -> dict[str, object]:
    source = SOURCE.read_text()
    request = {"language": "Solidity", "sources": {SOURCE.name: {"content": source}}, "settings": SETTINGS}
    done = subprocess.run(
        [COMPILER, "--standard-json"], input=json.dumps(request), check=True, capture_output=True, text=True
    )
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    if answer.get("errors"):
        raise SystemExit("\n".join(error["formattedMessage"] for error in answer["errors"]))
    contracts = {
        name: {
            "functions": contract["evm"]["methodIdentifiers"],
            "code": "0x" + contract["evm"]["deployedBytecode"]["object"],
        }
        for name, contract in answer["contracts"][SOURCE.name].items()
    }
    return {"source_sha256": hashlib.sha256(source.encode()).hexdigest(), "contracts": contracts}


if __name__ == "__main__":
    COMPILED.write_text(json.dumps(compiled(), indent=2) + "\n")
