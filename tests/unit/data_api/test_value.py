"""What a wallet is worth is read exactly, in the shapes the venue answers with, and doubt is never a value."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from copytrade.adapters.data_api.value import DataApiValues
from copytrade.ports.wallet_values import ValueUnavailableError
from tests.makers import LEADER, NOW_MS, OTHER, micro
from tests.virtual_time import VirtualClock, run_virtual


def asked(answer: httpx.Response, address: str = LEADER) -> int | None:
    async def main() -> int | None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as http:
            return await DataApiValues(url="http://api.test", http=http, clock=VirtualClock()).value(address)

    return run_virtual(main, epoch_ms=NOW_MS)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (f'{{"user": "{LEADER}", "value": 51234.5678901}}', micro("51234.567890")),
        (f'[{{"user": "{LEADER.upper().replace("0X", "0x")}", "value": 0.1}}]', micro("0.1")),
        (f'{{"user": "{LEADER}", "value": 0}}', 0),
        ("null", None),
        ("[]", None),
    ],
    ids=["an object", "a list of one", "nothing held", "no data", "an empty list"],
)
def test_a_value_is_read_from_the_envelope(data: str, value: int | None) -> None:
    assert asked(httpx.Response(200, text=f'{{"data": {data}}}')) == value


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(404, text='{"error": "not found"}'),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text="[]"),
        httpx.Response(200, text=f'{{"data": {{"user": "{OTHER}", "value": 5}}}}'),
        httpx.Response(200, text=f'{{"data": {{"user": "{LEADER}", "value": "5"}}}}'),
        httpx.Response(200, text=f'{{"data": {{"user": "{LEADER}", "value": -5}}}}'),
        httpx.Response(200, text=f'{{"data": {{"user": "{LEADER}", "value": NaN}}}}'),
        httpx.Response(200, text=f'{{"data": {{"user": "{LEADER}"}}}}'),
        httpx.Response(200, text='{"data": [1, 2]}'),
        httpx.Response(200, text='{"data": 7}'),
    ],
)
def test_an_answer_in_doubt_is_no_value(answer: httpx.Response) -> None:
    with pytest.raises(ValueUnavailableError, match=r"api\.test"):
        asked(answer)


@pytest.mark.recorded
def test_the_recorded_row_is_read(recorded_data: Path) -> None:
    rows = json.loads((recorded_data / "rest/nexiumito/data_api_value.json").read_text())

    assert asked(httpx.Response(200, text=json.dumps({"data": rows})), rows[0]["user"]) == 0
