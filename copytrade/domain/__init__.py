"""Facts and rules: standard library only, no await, no clock, no I/O."""
