"""Copy the fills of chosen Polymarket accounts, on paper or live.

Read in this order: `app` wires the worker, `engine.worker` names its loops, then one fill walks through
`engine.ingest`, `engine.decide`, `engine.execute` and `engine.account`. The rules are in `domain` and
`strategies`, what the engine needs is in `ports`, and everything outside the process is in `adapters`.
"""
