"""The ledger in a database: SQLite or PostgreSQL, the same tables and promises."""
