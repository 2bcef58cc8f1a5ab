"""The virtual time that tests run on is the one that replays run on."""

from copytrade.adapters.virtual_time import DeadlockError, VirtualClock, VirtualTimeLoop, run_virtual

__all__ = ["DeadlockError", "VirtualClock", "VirtualTimeLoop", "run_virtual"]
