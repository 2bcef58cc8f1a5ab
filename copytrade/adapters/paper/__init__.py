"""Orders that are filled on paper, the way the venue would have filled them."""
