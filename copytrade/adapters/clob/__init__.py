"""The venue's central limit order book: public market data."""
