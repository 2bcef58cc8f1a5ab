"""Leader fills from Data API v2: later than the chain and with less in them, but from another witness."""
