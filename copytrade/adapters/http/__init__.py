"""What the worker serves: its metrics, and whether it is well."""
