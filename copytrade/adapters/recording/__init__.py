"""Sessions as files: one entry for each line, and the books they tell of."""
