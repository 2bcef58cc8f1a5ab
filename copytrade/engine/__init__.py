"""One file per stage of a fill, and the worker that runs them."""
