"""What a person confirms before real orders: all that is configured, and no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from copytrade.settings import Settings, configuration_hash, configuration_lines
from tests.makers import LEADER

KEY = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"live_max_usdc_per_order": "3"},
        {"live_leaders": LEADER},
        {"copy_ratio": "0.3"},
        {"clob_http_url": "https://elsewhere.example"},
        {"polygon_http_url": "https://one.example,https://two.example"},
        {"order_type": "FAK"},
        {"submit_latency_ms": "200"},
        {"paper_effects": "fees"},
    ],
)
def test_another_configuration_has_another_hash(changed: dict[str, str]) -> None:
    assert configuration_hash(Settings(**changed)) != configuration_hash(Settings())


def test_the_same_configuration_has_the_same_hash_whatever_the_switch_says() -> None:
    assert configuration_hash(Settings()) == configuration_hash(Settings())
    confirmed = Settings(execution_mode="live", live_confirm=configuration_hash(Settings()), live_passphrase_fd="3")

    assert configuration_hash(confirmed) == confirmed.live_confirm


def test_no_secret_is_among_what_is_confirmed() -> None:
    settings = Settings(
        live_private_key=KEY,
        database_url="postgresql+psycopg://me:hunter2@host/db",
        polygon_http_url="https://me:hunter2@node.example/v2/hunter2?key=hunter2",
        telegram_bot_token="hunter2",
        telegram_chat_id="1",
    )

    lines = "\n".join(configuration_lines(settings))

    assert "POLYGON_HTTP_URL=node.example" in lines
    assert "hunter2" not in lines
    assert KEY not in lines


def test_only_what_was_changed_is_shown_to_be_read_over() -> None:
    assert configuration_lines(Settings(copy_ratio="0.3"), changed_only=True) == ["COPY_RATIO=0.30"]
    assert configuration_lines(Settings(live_max_usdc_per_order="2.5"), changed_only=True) == [
        "LIVE_MAX_USDC_PER_ORDER=2.50"
    ]
