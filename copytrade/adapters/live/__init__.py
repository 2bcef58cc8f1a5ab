"""Real orders at the venue's CLOB, signed by a key of ours."""
