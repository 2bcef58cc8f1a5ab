"""One folder per outside thing; the families do not know each other."""
