"""What may become of an input; there is nothing else."""

TAKEN, REFUSED, IGNORED = "taken", "refused", "ignored"
