"""Leader fills from the chain: `OrderFilled` logs, read until they are proved complete."""
