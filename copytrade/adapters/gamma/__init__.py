"""The registry of markets, kept in step with Gamma and completed from the CLOB."""
