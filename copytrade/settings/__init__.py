"""What an operator may set: the only reader of the environment (and of a `.env` file in the working directory).

Field names are the variable names in lower case. Durations are milliseconds, money and ratios are micro-units
after parsing. `.env.example` lists every variable with its default and unit.
"""

from copytrade.settings.confirming import configuration_hash, configuration_lines
from copytrade.settings.loading import ConfigurationError, Settings, load, misspelt, require_chain
from copytrade.settings.values import BookstoreMode

__all__ = [
    "BookstoreMode",
    "ConfigurationError",
    "Settings",
    "configuration_hash",
    "configuration_lines",
    "load",
    "misspelt",
    "require_chain",
]
