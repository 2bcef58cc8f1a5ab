"""Leaders and their own rules on the command line, without a process for each word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from copytrade.cli.program import build
from copytrade.domain.copy_rules import RULES, parse_rule, write_rule
from tests.makers import LEADER, OTHER
from tests.unit.test_settings import _nothing_set

__all__ = ["_nothing_set"]


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Take the log back from the command line, whose standard error ends with each call."""
    yield
    structlog.reset_defaults()


def said(*words: str, code: int = 0) -> str:
    ended = CliRunner().invoke(build(), ["leaders", *words])
    assert ended.exit_code == code, ended.output
    return ended.output


def listed() -> list[dict[str, Any]]:
    return list(json.loads(said("list", "--json"))["leaders"])


def test_rules_are_set_shown_and_cleared_by_the_names_of_their_variables() -> None:
    said("add", LEADER, "--unchecked", "--label", "ann", "--ratio", "0.5", "--set", "spread_max=0.03")

    changed = said(
        "set", LEADER, "--exit-only", "--slippage-bps", "150", "--max-usdc", "20", "--set", "KEYWORDS_DENY=Fed, rates"
    )
    rules = listed()[0]["rules"]
    said("set", LEADER, "--clear", "copy_ratio", "--clear", "SPREAD_MAX", "--no-exit-only")
    cleared = listed()[0]
    said("set", LEADER, "--clear", "all")

    assert "exits only; COPY_RATIO=0.50 MAX_USDC_PER_TRADE=20.00" in changed
    assert rules == {
        "COPY_RATIO": "0.50",
        "MAX_USDC_PER_TRADE": "20.00",
        "KEYWORDS_DENY": "fed,rates",
        "SLIPPAGE_BPS_MAX": "150",
        "SPREAD_MAX": "0.03",
    }
    assert set(cleared["rules"]) == {"MAX_USDC_PER_TRADE", "KEYWORDS_DENY", "SLIPPAGE_BPS_MAX"}
    assert (cleared["exit_only"], cleared["copy_ratio"], cleared["max_usdc_per_trade"]) == (False, None, "20.00")
    assert listed()[0]["rules"] == {}


def test_what_is_not_named_stays_as_it_is() -> None:
    said("add", LEADER, "--unchecked", "--label", "ann", "--ratio", "0.5")
    said("set", LEADER, "--paused", "--live-allowed")
    said("set", LEADER, "--label", "bob")

    [leader] = listed()
    assert (leader["label"], leader["paused"], leader["live_allowed"]) == ("bob", True, True)
    assert leader["rules"] == {"COPY_RATIO": "0.50"}


def test_the_table_says_what_becomes_of_each_leader() -> None:
    for address, flag in ((LEADER, "--paused"), (OTHER, "--exit-only")):
        said("add", address, "--unchecked")
        said("set", address, flag, "--ttl-ms", "9000")

    table = said("list")

    assert all(word in table for word in ("paused", "exits only", "ORDER_TTL_MS=9000"))


def test_a_band_that_no_price_satisfies_is_refused_with_the_general_rule_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRICE_MAX", "0.5")
    said("add", LEADER, "--unchecked")

    assert "accepted: PRICE_MAX (0.50) or less" in said("set", LEADER, "--set", "PRICE_MIN=0.6", code=2)
    assert listed()[0]["rules"] == {}


def test_no_life_is_so_short_that_the_venue_would_refuse_each_of_his_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    said("add", LEADER, "--unchecked")
    assert "ORDER_TTL_MS=9000" in said("set", LEADER, "--ttl-ms", "9000")
    monkeypatch.setenv("ORDER_TYPE", "GTD")
    monkeypatch.setenv("ORDER_TTL_MS", "120000")

    refused = said("set", LEADER, "--ttl-ms", "119999", code=2)

    assert "accepted with ORDER_TYPE=GTD: 120000 or more" in refused
    assert listed()[0]["rules"] == {"ORDER_TTL_MS": "9000"}
    assert "ORDER_TTL_MS=120000" in said("set", LEADER, "--ttl-ms", "120000")


def test_each_change_is_kept_with_what_was_before(tmp_path: Path) -> None:
    said("add", LEADER, "--unchecked", "--ratio", "0.5")
    said("set", LEADER, "--paused")

    events = json.loads(CliRunner().invoke(build(), ["status", "--json"]).output)["events"]

    assert (Path.cwd(), events[0]["code"]) == (tmp_path, "LEADER_CHANGED")
    assert events[0]["detail"] == {
        "leader": LEADER,
        "before": "followed; COPY_RATIO=0.50",
        "after": "paused; COPY_RATIO=0.50",
    }


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--set", "SPREAD=1"], "'SPREAD' is no rule of copying"),
        (["--set", "SPREAD_MAX"], "is not NAME=VALUE"),
        (["--set", "SPREAD_MAX=wide"], "SPREAD_MAX is 'wide'; accepted: a decimal from 0 to 1, or nothing"),
        (["--sizing-mode", "half"], "SIZING_MODE is 'half'; accepted: ratio, fixed_usdc, bankroll"),
        (["--clear", "SPREAD"], "'spread' is no rule of copying"),
        ([], "nothing to set"),
    ],
)
def test_wrong_use_says_what_is_accepted(words: list[str], what: str) -> None:
    assert what in said("set", LEADER, *words, code=2)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_reads_what_it_writes(name: str) -> None:
    samples = {"": "0.25", "sizing_mode": "bankroll", "exit_mode": "ratio", "words": "a,b", "whole": "120"}
    kind = "words" if name.startswith(("categories", "keywords")) else name
    whole = ("_ms", "_bps_max", "_ticks_max")
    text = samples.get(kind) or (samples["whole"] if name.endswith(whole) else samples[""])

    field, value = parse_rule(name.upper(), text)

    assert parse_rule(field, write_rule(field, value)) == (name, value)
