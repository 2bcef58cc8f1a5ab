"""The composition root: settings in, wired parts out. The only package that names adapters."""

from copytrade.app.auditing import audit_ledger
from copytrade.app.doctor import open_checks
from copytrade.app.drilling import drill_all
from copytrade.app.execution import build_rules, look_at_live_gates
from copytrade.app.ladder import live_account
from copytrade.app.ledgers import new_leader, open_ledger, open_reports, schema_state, sole_worker, upgrade_schema
from copytrade.app.listening import configure_logging, line_notifier, log_traceback, table_notifier, tally
from copytrade.app.metrics import open_observatory
from copytrade.app.operating import limits_in_force, operator
from copytrade.app.outside import Outside, system_clock
from copytrade.app.ranking import open_rank
from copytrade.app.reconciling import open_reconciler
from copytrade.app.recording import open_recording
from copytrade.app.redacting import load_settings, process_redaction, redact_tracebacks
from copytrade.app.redeeming import Redeemable, look_for_redeemable
from copytrade.app.replaying import Replayed, replay
from copytrade.app.signing import open_signer_process, serve_until_cancelled
from copytrade.app.sources import POLYGON_CHAIN_ID
from copytrade.app.stories import open_statistics, open_stories
from copytrade.app.verification import open_verify
from copytrade.app.worker import build_worker

__all__ = [
    "POLYGON_CHAIN_ID",
    "Outside",
    "Redeemable",
    "Replayed",
    "audit_ledger",
    "build_rules",
    "build_worker",
    "configure_logging",
    "drill_all",
    "limits_in_force",
    "line_notifier",
    "live_account",
    "load_settings",
    "log_traceback",
    "look_at_live_gates",
    "look_for_redeemable",
    "new_leader",
    "open_checks",
    "open_ledger",
    "open_observatory",
    "open_rank",
    "open_reconciler",
    "open_recording",
    "open_reports",
    "open_signer_process",
    "open_statistics",
    "open_stories",
    "open_verify",
    "operator",
    "process_redaction",
    "redact_tracebacks",
    "replay",
    "schema_state",
    "serve_until_cancelled",
    "sole_worker",
    "system_clock",
    "table_notifier",
    "tally",
    "upgrade_schema",
]
