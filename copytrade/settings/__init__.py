"""What an operator may set: the only reader of the environment (and of a `.env` file in the working directory).

Field names are the variable names in lower case. Durations are milliseconds, money and ratios are micro-units
after parsing. `.env.example` lists every variable with its default and unit.
"""

from copytrade.settings.loading import ConfigurationError, Settings, load, misspelt, require_chain

__all__ = ["ConfigurationError", "Settings", "load", "misspelt", "require_chain"]
