"""The peer of the back-fill: web3.py's `process_log` and SQLAlchemy's ORM, run by the interpreter of `.bench-venv`.

    .bench-venv/bin/python benchmarks/peer_web3.py DATABASE_URL LOGS.json BATCH

The tables are ours. Each log becomes a raw row and a fill, added to a session that is committed after every
BATCH logs, with no check whatever and no deduplication. Prints the logs a second.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, create_engine, event, select
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session
from web3 import Web3
from web3._utils.method_formatters import log_entry_formatter
from web3.datastructures import AttributeDict

WORDS = (
    "side:uint8",
    "tokenId",
    "makerAmountFilled",
    "takerAmountFilled",
    "fee",
    "builder:bytes32",
    "metadata:bytes32",
)


def contract() -> Any:
    """Return the event as web3 knows it."""
    inputs = [{"indexed": True, "name": "orderHash", "type": "bytes32"}]
    inputs += [{"indexed": True, "name": name, "type": "address"} for name in ("maker", "taker")]
    for word in WORDS:
        name, _, kind = word.partition(":")
        inputs.append({"indexed": False, "name": name, "type": kind or "uint256"})
    abi = [{"anonymous": False, "inputs": inputs, "name": "OrderFilled", "type": "event"}]
    return Web3().eth.contract(abi=abi).events.OrderFilled()


def values(found: Any, leader_id: Any, is_sqlite: bool) -> dict[str, Any]:
    """Return the columns of a fill."""
    args, tx_hash = found["args"], "0x" + found["transactionHash"].hex()
    is_buy = args["side"] == 0
    usdc, shares = args["makerAmountFilled"], args["takerAmountFilled"]
    if not is_buy:
        usdc, shares = shares, usdc
    now = datetime.now(UTC)
    address = found["address"].lower()
    return {
        "id": str(uuid.uuid4()) if is_sqlite else uuid.uuid4(),
        "leader_id": leader_id,
        "source": "polygon",
        "exchange_address": address,
        "block_number": found["blockNumber"],
        "block_hash": "0x" + found["blockHash"].hex(),
        "tx_hash": tx_hash,
        "log_index": found["logIndex"],
        "order_hash": "0x" + args["orderHash"].hex(),
        "maker": args["maker"].lower(),
        "taker": args["taker"].lower(),
        "leader_role": "taker" if args["taker"].lower() == address else "maker",
        "token_id": str(args["tokenId"]),
        "side": "BUY" if is_buy else "SELL",
        "leader_price": usdc / shares,
        "leader_size": shares / 10**6,
        "leader_usdc": usdc / 10**6,
        "leader_fee": args["fee"] / 10**6,
        "fill_ts": now.isoformat(sep=" ") if is_sqlite else now,
        "detected_at": now.isoformat(sep=" ") if is_sqlite else now,
        "dedupe_key": f"{address}|{found['blockNumber']}|{tx_hash}|{found['logIndex']}",
        "awaits_decision": False,
        "created_at": now.isoformat(sep=" ") if is_sqlite else now,
    }


def main() -> None:
    """Process, add, commit; print the rate."""
    url, path, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    logs = json.loads(Path(path).read_text("utf-8"))
    engine = create_engine(url)
    is_sqlite = engine.dialect.name == "sqlite"
    if is_sqlite:
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode = WAL"))
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = FULL"))
    metadata = MetaData()
    metadata.reflect(engine, only=["leader", "leader_fill", "leader_fill_raw"])
    tables = automap_base(metadata=metadata)
    tables.prepare()
    fill, raw, leader = tables.classes.leader_fill, tables.classes.leader_fill_raw, tables.classes.leader
    order_filled = contract()
    with Session(engine) as session:
        leader_ids = {row.address: row.id for row in session.execute(select(leader.address, leader.id))}
        started = time.perf_counter()
        for start in range(0, len(logs), batch):
            for log in logs[start : start + batch]:
                found = order_filled.process_log(AttributeDict(log_entry_formatter(log)))
                columns = values(found, leader_ids[found["args"]["maker"].lower()], is_sqlite)
                session.add(fill(**columns))
                session.add(
                    raw(
                        id=str(uuid.uuid4()) if is_sqlite else uuid.uuid4(),
                        source="polygon",
                        source_key=f"{columns['block_hash']}|{columns['tx_hash']}|{columns['log_index']}",
                        leader_fill_id=columns["id"],
                        payload=json.dumps(log) if is_sqlite else log,
                        received_at=columns["detected_at"],
                        created_at=columns["created_at"],
                    )
                )
            session.commit()
        print(len(logs) / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
