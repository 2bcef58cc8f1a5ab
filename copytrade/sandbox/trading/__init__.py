"""The half of the imitated venue that knows who is asking: credentials, orders, funds, settlement."""
