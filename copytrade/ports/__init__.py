"""What the engine needs from outside, in domain words."""
