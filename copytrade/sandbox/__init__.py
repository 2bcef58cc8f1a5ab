"""A local Polymarket on loopback: chain, Gamma, Data API and CLOB over one small world."""
