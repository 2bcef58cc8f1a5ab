"""Real processes, real sockets, a real database, and something that goes wrong on purpose."""
