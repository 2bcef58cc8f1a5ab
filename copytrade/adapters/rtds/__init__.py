"""Leader fills from the venue's live stream: early, but it freezes, repeats itself and forgets; a witness only."""
