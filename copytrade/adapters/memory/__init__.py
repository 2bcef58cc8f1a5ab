"""The ledger in memory."""

from copytrade.adapters.memory.ledger import MemoryLedger
from copytrade.adapters.memory.state import Event, StoredFill

__all__ = ["Event", "MemoryLedger", "StoredFill"]
