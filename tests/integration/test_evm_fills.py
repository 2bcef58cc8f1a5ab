"""The chain source on a real node: what the exchanges emit is what is stored, to the last integer."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from copytrade.adapters.polygon.receipts import is_all_there_is
from tests.evm import orders
from tests.evm.chain import GENESIS_S, a_chain
from tests.evm.following import followed, following, memory_book
from tests.evm.orders import CODE, LIVE, NEG_RISK_V1, NO, SELL, STANDARD, STANDARD_V1, YES, Match, an_order
from tests.unit.polygon.watching import a_chain as a_fake_chain

pytestmark = pytest.mark.processes

ANN, BOB = followed(1), followed(2)
STRANGER = "0x" + "b2" * 20
FEBRUARY_S = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())


def test_the_committed_code_is_compiled_from_the_committed_source():
    folder = Path(orders.__file__).with_name("contract")

    named = json.loads((folder / "exchanges.json").read_text())["source_sha256"]

    assert named == hashlib.sha256((folder / "Exchanges.sol").read_bytes()).hexdigest()


async def test_the_fake_node_of_the_unit_tests_answers_as_a_real_one():
    fake = a_fake_chain(blocks=10)
    nowhere = {"blockHash": "0x" + "0b" * 32, "address": list(LIVE), "topics": []}

    async with a_chain(blocks=10) as chain:
        for method, params in [
            ("eth_chainId", []),
            ("eth_getBlockByNumber", [hex(11), False]),
            ("eth_getLogs", [nowhere]),
            ("eth_getLogs", [{"fromBlock": "0x5", "toBlock": "0x63", "address": list(LIVE), "topics": []}]),
        ]:
            assert fake.answer(method, params) == await chain.answer(method, *params)
        assert (await chain.header()).keys() >= fake.head.header().keys()


@pytest.mark.parametrize("count", [0, 1, 2, 130])
async def test_the_receipts_of_a_real_block_are_those_of_its_header(count):
    async with a_chain() as chain:
        made = [chain.fill(ANN.address) for _ in range(count)]
        if made:
            del made[0]["maxFeePerGas"], made[0]["maxPriorityFeePerGas"]
            made[0]["gasPrice"] = hex(10**11)
        await chain.mine(*made)
        header = await chain.header()
        receipts = await chain.rpc("eth_getBlockReceipts", header["hash"])

    assert [receipt["type"] for receipt in receipts] == ["0x0", *["0x2"] * (count - 1)][:count]
    assert await is_all_there_is(receipts, header["receiptsRoot"])
    for at in range(min(count, 2)):
        assert not await is_all_there_is(receipts[:at] + receipts[at + 1 :], header["receiptsRoot"])
        assert not await is_all_there_is([receipts[at] | {"logs": []}, *receipts[1:]], header["receiptsRoot"])


@pytest.mark.parametrize("exchange", LIVE)
async def test_a_leader_who_crosses_has_one_fill_with_the_whole_amount_on_every_exchange(exchange):
    crossing = an_order(ANN.address, shares=30_000_001, usdc=16_500_003, fee=371_250)
    resting = (
        an_order(STRANGER, side=SELL, shares=10_000_001, usdc=5_000_001, fee=1),
        an_order(STRANGER, side=SELL, shares=20_000_000, usdc=11_500_002),
    )
    book = memory_book()
    async with a_chain() as chain, following(chain, book, ANN) as feed:
        await chain.mine(chain.settlement(Match(taker=crossing, makers=resting), exchange=exchange))

        await feed.until_stored(await chain.rows(ANN.address))

    (row,) = (await book.stored()).standing
    assert (row.exchange, row.order_hash, row.taker, row.role) == (exchange, crossing.order_hash, exchange, "taker")
    assert (row.side, row.token_id, row.shares, row.usdc) == ("BUY", str(YES), 30_000_001, 16_500_003)
    assert row.fee == 371_250
    assert row.log_index == 3, "two resting fills and a fee come before it"


@pytest.mark.parametrize(("kind", "side"), [("mint", "BUY"), ("merge", "SELL")])
async def test_in_a_mint_or_merge_each_leader_has_the_token_of_his_own_order(kind, side):
    number = SELL if side == "SELL" else 0
    crossing = an_order(ANN.address, side=number, token=YES, shares=6_970_000, usdc=2_997_100)
    resting = an_order(BOB.address, side=number, token=NO, shares=6_970_000, usdc=3_972_900)
    book = memory_book()
    async with a_chain() as chain, following(chain, book, ANN, BOB) as feed:
        await chain.mine(chain.settlement(Match(taker=crossing, makers=(resting,))))

        await feed.until_stored(await chain.rows(ANN.address, BOB.address))

    passive, active = (await book.stored()).standing
    assert (passive.maker, passive.taker, passive.role) == (BOB.address, ANN.address, "maker")
    assert (passive.side, passive.token_id, passive.usdc) == (side, str(NO), 3_972_900)
    assert (active.maker, active.taker, active.role) == (ANN.address, STANDARD, "taker")
    assert (active.side, active.token_id, active.usdc) == (side, str(YES), 2_997_100)


async def test_two_equal_fills_of_one_order_in_one_transaction_are_two_fills():
    crossing = an_order(ANN.address)
    matches = [Match(taker=crossing, makers=(an_order(STRANGER, side=SELL),)) for _ in range(2)]
    book = memory_book()
    async with a_chain() as chain, following(chain, book, ANN) as feed:
        await chain.mine(chain.settlement(*matches))

        stored = await feed.until_settled(chain)

        assert stored.standing == await chain.rows(ANN.address)
    assert [row.log_index for row in stored.standing] == [1, 4]


async def test_five_hundred_fills_of_one_block_are_all_stored_once():
    matches = [Match(taker=an_order(STRANGER, side=SELL), makers=(an_order(ANN.address),)) for _ in range(500)]
    book = memory_book()
    async with a_chain() as chain, following(chain, book, ANN) as feed:
        await chain.mine(*(chain.settlement(*matches[at : at + 25]) for at in range(0, 500, 25)))

        stored = await feed.until_settled(chain)

        assert stored.standing == await chain.rows(ANN.address)
    assert len(stored.standing) == 500


@pytest.mark.parametrize("count", [300, 1_100])
async def test_the_first_and_the_last_of_many_leaders_are_seen(count):
    first, last = "0x" + "00" * 18 + "0001", f"0x{count:040x}"
    crowd = [followed(1, address=f"0x{number:040x}") for number in range(1, count + 1)]
    book = memory_book()
    async with a_chain() as chain, following(chain, book, *crowd) as feed:
        await chain.mine(chain.fill(first), chain.fill(STRANGER), chain.fill(last))

        await feed.until_stored(await chain.rows(first, last))


async def test_the_same_event_of_another_contract_is_no_fill():
    spoof = "0x" + "5f" * 20
    book = memory_book()
    async with a_chain() as chain, following(chain, book, ANN) as feed:
        await chain.rpc("anvil_setCode", spoof, CODE[STANDARD])
        match = Match(taker=an_order(ANN.address), makers=())
        await chain.mine(chain.settlement(match, exchange=spoof), chain.settlement(match))

        stored = await feed.until_settled(chain)

    assert [row.exchange for row in stored.standing] == [STANDARD]


async def test_history_has_the_trades_on_the_exchanges_of_before():
    ann = followed(1, since_s=FEBRUARY_S)
    book = memory_book()
    async with a_chain(genesis_s=FEBRUARY_S) as chain:
        buy = an_order(ann.address, shares=6_970_000, usdc=2_997_100, fee=13)
        sell = an_order(ann.address, side=SELL, token=NO, shares=1_000_000, usdc=400_000, fee=7)
        met = Match(taker=buy, makers=(an_order(STRANGER, side=SELL),))
        await chain.mine(chain.settlement(met, exchange=STANDARD_V1))
        await chain.mine(chain.settlement(Match(taker=sell, makers=()), exchange=NEG_RISK_V1))
        await chain.mine_empty(20)
        await chain.mine(seconds=GENESIS_S - FEBRUARY_S)
        await chain.mine(chain.fill(ann.address))
        await chain.mine_empty(10)

        async with following(chain, book, ann) as feed:
            await feed.until_stored(await chain.rows(ann.address))

    bought, sold, _ = (await book.stored()).standing
    assert (bought.exchange, bought.side, bought.shares, bought.usdc) == (STANDARD_V1, "BUY", 6_970_000, 2_997_100)
    assert (sold.exchange, sold.side, sold.token_id, sold.fee) == (NEG_RISK_V1, "SELL", str(NO), 7)


async def test_history_goes_back_to_the_block_in_which_a_leader_was_followed():
    book = memory_book()
    async with a_chain() as chain:
        await chain.mine(chain.fill(ANN.address))
        await chain.mine(chain.fill(ANN.address))
        since_s = int((await chain.header())["timestamp"], 16)
        await chain.mine(chain.fill(ANN.address))
        await chain.mine_empty(100)
        expected = await chain.rows(ANN.address)

        async with following(chain, book, followed(1, since_s=since_s)) as feed:
            await feed.until_stored(expected[1:])


async def test_a_leader_added_while_running_is_seen_from_then_on_and_back_to_when_he_was_followed():
    book = memory_book()
    async with a_chain() as chain, following(chain, book, ANN) as feed:
        await chain.mine(chain.fill(ANN.address), chain.fill(BOB.address))
        await chain.mine_empty(10)
        await book.ledger.add_leader(BOB)
        feed.roll.set(ANN, BOB)
        await chain.mine(chain.fill(BOB.address))
        await chain.mine_empty(10)

        await feed.until_stored(await chain.rows(ANN.address, BOB.address))
