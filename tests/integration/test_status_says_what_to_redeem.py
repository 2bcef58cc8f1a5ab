"""What was won and not yet redeemed is listed until the wallet holds it no more; what is on paper never is."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from copytrade import app
from copytrade.adapters.sql import schema
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.reports import SqlReports
from copytrade.app import Outside, Redeemable
from copytrade.cli.program import build
from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import Shares
from copytrade.settings import ConfigurationError, Settings
from tests.ledgers import sql_database
from tests.makers import NO, NOW_MS, YES, a_market, micro
from tests.money_facts import bought

WALLET = "0x" + "ab" * 20
OTHER_WALLET = "0x" + "cd" * 20
LIVE, OTHER_LIVE = f"live-{WALLET}", f"live-{OTHER_WALLET}"
WON, LOST, SPLIT, HELD = (f"0x{number:064x}" for number in range(1, 5))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = f"sqlite:///{tmp_path}/ledger.db"
    if request.param == "postgres":
        database = str(request.getfixturevalue("postgres_database"))
    schema.upgrade(database)
    return database


def a_named_market(prefix: str, condition_id: str, **changes: Any) -> Any:
    market = a_market(condition_id=condition_id, slug=f"{prefix}-market", title=f"Market {prefix}", **changes)
    return replace(market, tokens=tuple(replace(one, token_id=prefix + one.token_id) for one in market.tokens))


async def a_ledger_with_all_of_it(ledger: SqlLedger) -> None:
    """One market won and settled, one lost, one that the registry knows the payouts of, one held on both sides."""
    markets = {name: a_named_market(str(at), name) for at, name in enumerate((WON, LOST, SPLIT, HELD), start=1)}
    await ledger.save_markets([*markets.values()])
    for at, account in enumerate((LIVE, OTHER_LIVE, "paper")):
        await bought(ledger, f"1{at}", token_id="1" + YES, shares="90.5", price="0.4", account_id=account)
    await bought(ledger, "20", token_id="2" + YES, shares="7", price="0.4", account_id=LIVE)
    await bought(ledger, "30", token_id="3" + NO, shares="10", price="0.4", account_id=LIVE)
    await bought(ledger, "40", token_id="4" + YES, shares="5", price="0.4", account_id=LIVE)
    await bought(ledger, "41", token_id="4" + NO, shares="3.25", price="0.4", account_id=LIVE)
    for condition_id, payouts in {WON: ("1", "0"), LOST: ("0", "1")}.items():
        paid = tuple(map(micro, payouts))
        await ledger.settle(
            Resolution(condition_id=condition_id, payouts=paid, source=ResolutionSource.CHAIN, at_ms=NOW_MS)
        )
    halves = (micro("0.5"), micro("0.5"))
    await ledger.save_markets([replace(markets[SPLIT], payouts=halves, closed=True)])


EVERYTHING = {"1" + YES: "90.5", "2" + YES: "7", "3" + NO: "10", "4" + YES: "5", "4" + NO: "3.25"}


def a_data_api(wallets: Mapping[str, Mapping[str, str]]) -> httpx.MockTransport:
    """Tell what wallets hold; one that is not among them is not answered for."""

    def respond(request: httpx.Request) -> httpx.Response:
        wallet = request.url.params["user"]
        if wallet not in wallets:
            return httpx.Response(404, json={"error": "no"})
        rows = [
            {"proxy_wallet": wallet, "token_id": token, "current_size": float(size)}
            for token, size in wallets[wallet].items()
        ]
        pagination = {"limit": 500, "offset": 0, "has_more": False, "next_cursor": None}
        return httpx.Response(200, json={"data": rows, "pagination": pagination})

    return httpx.MockTransport(respond)


async def found(url: str, wallets: Mapping[str, Mapping[str, str]]) -> Redeemable:
    outside = Outside(transport=a_data_api(wallets))
    async with sql_database(url) as database:
        await a_ledger_with_all_of_it(SqlLedger(database))
        return await app.look_for_redeemable(Settings(), SqlReports(database), outside)


def told(found: Redeemable) -> dict[tuple[str, str], tuple[Shares, int]]:
    return {(one.account_id, one.token_id): (one.shares, one.worth_usdc) for one in found.won}


async def test_what_the_wallet_still_holds_of_what_paid_is_listed_with_its_worth(url: str) -> None:
    waiting = await found(url, {WALLET: EVERYTHING, OTHER_WALLET: {"1" + YES: "90.5"}})

    assert told(waiting) == {
        (LIVE, "1" + YES): (micro("90.5"), micro("90.5")),
        (LIVE, "3" + NO): (micro("10"), micro("5")),
        (OTHER_LIVE, "1" + YES): (micro("90.5"), micro("90.5")),
    }
    assert [(one.account_id, one.condition_id, one.sets) for one in waiting.pairs] == [(LIVE, HELD, micro("3.25"))]
    assert waiting.unasked == []


async def test_what_is_redeemed_or_merged_is_listed_no_more_and_a_part_only_as_far(url: str) -> None:
    waiting = await found(url, {WALLET: EVERYTHING | {"1" + YES: "0", "3" + NO: "4", "4" + YES: "2"}, OTHER_WALLET: {}})

    assert told(waiting) == {(LIVE, "3" + NO): (micro("4"), micro("2"))}
    assert [one.sets for one in waiting.pairs] == [micro("2")]


async def test_of_a_wallet_that_nobody_tells_all_is_listed_and_it_is_named(url: str) -> None:
    waiting = await found(url, {WALLET: {}})

    assert told(waiting) == {(OTHER_LIVE, "1" + YES): (micro("90.5"), micro("90.5"))}
    assert waiting.unasked == [OTHER_LIVE]


async def test_on_paper_nothing_waits_and_nobody_is_asked(url: str) -> None:
    async with sql_database(url) as database:
        ledger = SqlLedger(database)
        await ledger.save_markets([a_market()])
        await bought(ledger, "01")
        outside = Outside(transport=httpx.MockTransport(lambda request: pytest.fail("asked")))

        waiting = await app.look_for_redeemable(Settings(), SqlReports(database), outside)

    assert (waiting.won, waiting.pairs, waiting.unasked) == ([], [], [])


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    """A shell beside a ledger that has all of it, and a Data API that tells one of the two wallets."""
    for name in [*os.environ]:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    database = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.chdir(tmp_path)
    schema.upgrade(database)

    async def fill() -> None:
        async with sql_database(database) as opened:
            await a_ledger_with_all_of_it(SqlLedger(opened))

    asyncio.run(fill())
    client = httpx.AsyncClient
    answers = a_data_api({WALLET: EVERYTHING})
    monkeypatch.setattr(httpx, "AsyncClient", lambda **given: client(**(given | {"transport": answers})))
    return CliRunner()


def test_status_says_it_in_words_and_in_json(typed: CliRunner) -> None:
    shown = typed.invoke(build(), ["status"]).output
    document = json.loads(typed.invoke(build(), ["status", "--json"]).output)

    assert "to redeem: 186.00 USDC" in shown
    assert "to merge: 3.25 USDC" in shown
    assert "on the venue's own page" in shown
    assert f"does not tell what is held by: {OTHER_LIVE}" in shown
    assert [(one["title"], one["outcome"], one["shares"], one["usdc"]) for one in document["to_redeem"]] == [
        ("Market 1", "Yes", "90.50", "90.50"),
        ("Market 3", "No", "10.00", "5.00"),
        ("Market 1", "Yes", "90.50", "90.50"),
    ]
    assert (document["to_redeem_usdc"], document["to_merge_usdc"]) == ("186.00", "3.25")
    assert document["wallets_not_asked"] == [OTHER_LIVE]


def test_live_status_says_it_too(typed: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECUTION_MODE", "live")

    assert "to redeem: 186.00 USDC" in typed.invoke(build(), ["live", "status"]).output
    assert json.loads(typed.invoke(build(), ["live", "status", "--json"]).output)["to_redeem_usdc"] == "186.00"


def a_limit(typed: CliRunner) -> str:
    ended = typed.invoke(build(), ["limits", "list", "--json"])
    assert ended.exit_code == 0, ended.output
    return next(row["used"] for row in json.loads(ended.output)["limits"] if row["name"] == "MAX_OPEN_POSITIONS")


def test_limits_are_counted_on_the_account_in_use(typed: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_limit(typed) == "1", "an order on paper is open"
    monkeypatch.setenv("EXECUTION_MODE", ExecutionMode.LIVE)
    ended = typed.invoke(build(), ["limits", "list"])
    assert isinstance(ended.exception, ConfigurationError)
    assert "LIVE_WALLET is not set" in str(ended.exception)
    monkeypatch.setenv("LIVE_WALLET", WALLET)
    assert a_limit(typed) == "5"
