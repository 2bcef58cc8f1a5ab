"""What an operator may set is checked at the door, with one line that names the variable."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from copytrade.app.execution import build_rules
from copytrade.domain.copy_rules import RULES, CopyRules
from copytrade.domain.effects import Effect
from copytrade.domain.latency import Latency
from copytrade.domain.orders import OrderType
from copytrade.domain.risk import LimitName
from copytrade.domain.units import MICRO
from copytrade.settings import ConfigurationError, Settings, load, misspelt, require_chain
from copytrade.settings.replayed import with_changes
from copytrade.settings.values import Bind
from tests.makers import LEADER


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.lower() in Settings.model_fields or name.startswith(("RISK_", "LIVE_", "GATE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_nothing_needs_to_be_set() -> None:
    settings = load()

    assert settings.trigger_mode == "data_api"
    assert settings.copy_ratio == MICRO
    assert settings.submit_latency_ms == Latency(median_ms=150)
    assert set(settings.leader_event_policies.values()) == {"alert"}


def test_values_are_parsed_into_our_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADERS", f" {LEADER.upper().replace('0X', '0x')} ,{LEADER}")
    monkeypatch.setenv("MAX_USDC_PER_TRADE", "12.5")
    monkeypatch.setenv("POLYGON_HTTP_URL", "https://one.example/key,http://127.0.0.1:8545/")
    monkeypatch.setenv("SUBMIT_LATENCY_MS", "lognormal:120:0.4")

    settings = load()

    assert settings.leaders == (LEADER, LEADER)
    assert settings.max_usdc_per_trade == 12_500_000
    assert settings.polygon_http_url == ("https://one.example/key", "http://127.0.0.1:8545")
    assert settings.submit_latency_ms == Latency.parse("lognormal:120:0.4")


def test_how_paper_simulates_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("measured.txt").write_text("120\n\n80.5\n300\n")
    monkeypatch.setenv("SUBMIT_LATENCY_MS", "file:measured.txt")
    monkeypatch.setenv("PAPER_EFFECTS", " impact , fees ")
    monkeypatch.setenv("PAPER_INTERRUPTIONS", "restart@TUE-12:00, disabled@2026-11-24T12:00:00Z/60")
    monkeypatch.setenv("ORDER_TYPE", "FAK")

    settings = load()

    assert settings.submit_latency_ms.measured == (81, 120, 300)
    assert settings.paper_effects == {Effect.IMPACT, Effect.FEES}
    assert [one.mode for one in settings.paper_interruptions] == ["restart", "post_only", "disabled"]
    assert settings.order_type is OrderType.FAK


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [("0.0.0.0:9100", "0.0.0.0", 9100), (" localhost:0 ", "localhost", 0), ("[::1]:80", "::1", 80)],
)
def test_an_address_to_listen_on_is_a_host_and_a_port(
    value: str, host: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_BIND", value)

    bind = load().http_bind

    assert bind == Bind(host=host, port=port)
    assert str(bind) == value.strip()


def test_nothing_is_listened_on_if_the_address_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(load().http_bind) == "127.0.0.1:8080"
    monkeypatch.setenv("HTTP_BIND", "")

    assert load().http_bind is None


def test_a_value_that_is_no_text_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBMIT_LATENCY_MS", "file:\udcf5")

    with pytest.raises(ConfigurationError, match=r"^SUBMIT_LATENCY_MS is not UTF-8 text$"):
        load()


def test_a_file_in_the_working_directory_is_read_and_the_environment_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("COPY_RATIO=0.5\nORDER_TTL_MS=9000\n")
    monkeypatch.setenv("COPY_RATIO", "0.25")

    settings = load()

    assert (settings.copy_ratio, settings.order_ttl_ms) == (250_000, 9_000)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TRIGGER_MODE", "foo", "TRIGGER_MODE is 'foo'; accepted: data_api, polygon, both, rtds, all"),
        ("EXECUTION_MODE", "real", "EXECUTION_MODE is 'real'; accepted: paper, live"),
        ("LIVE_SIGNATURE_TYPE", "4", "LIVE_SIGNATURE_TYPE is '4'; accepted: 0 (the key's own address), 1 (proxy)"),
        ("LIVE_WALLET", "me", "LIVE_WALLET is 'me'; accepted: 0x and 40 hex digits"),
        ("LIVE_MAX_USDC_PER_DAY", "0", "LIVE_MAX_USDC_PER_DAY is '0'; accepted: a decimal above 0"),
        ("LIVE_PASSPHRASE_FD", "swordfish", "LIVE_PASSPHRASE_FD is set to something else; accepted: the number"),
        ("BOOKSTORE_MODE", "WS+REST", "BOOKSTORE_MODE is 'WS+REST'; accepted: rest, ws, ws+snapshot"),
        ("LEADERS", "0x12", "LEADERS is '0x12'; accepted: comma-separated addresses"),
        ("COPY_RATIO", "zwei", "COPY_RATIO is 'zwei'"),
        ("COPY_RATIO", "0", "COPY_RATIO is '0'"),
        ("MAX_USDC_PER_TRADE", "1e309", "MAX_USDC_PER_TRADE is '1e309'"),
        ("QUOTE_FRESH_MS", "-1", "QUOTE_FRESH_MS is '-1'; accepted: milliseconds, an integer from 10"),
        ("QUOTE_STALE_MS", "100", "QUOTE_STALE_MS is 100; accepted: QUOTE_FRESH_MS (2000) or more"),
        ("SUBMIT_LATENCY_MS", "normal:1:2", "SUBMIT_LATENCY_MS is 'normal:1:2'; accepted: an integer, lognormal"),
        ("SUBMIT_LATENCY_MS", "file:missing.txt", "file:PATH of measured ones; missing.txt cannot be read (No such"),
        ("SUBMIT_LATENCY_MS", "file:miss\ning.txt", "measured ones; miss ing.txt cannot be read"),
        ("SUBMIT_LATENCY_MS", "file:/dev/zero", "measured ones; /dev/zero has more than 2000000 characters"),
        ("ORDER_TYPE", "IOC", "ORDER_TYPE is 'IOC'; accepted: GTC, GTD, FAK, FOK, POST_ONLY"),
        ("ORDER_TYPE", "GTD", "ORDER_TTL_MS is 5000; accepted with ORDER_TYPE=GTD: 120000 or more"),
        ("PAPER_EFFECTS", "latency,fear", "PAPER_EFFECTS is 'latency,fear'; accepted: all, none, or some of latency"),
        ("PAPER_EFFECTS", "", "PAPER_EFFECTS is ''; accepted: all, none, or some of latency"),
        ("PAPER_INTERRUPTIONS", "restart@noon", "PAPER_INTERRUPTIONS is 'restart@noon'; accepted: comma-separated"),
        ("SLIPPAGE_BPS_MAX", "10001", "SLIPPAGE_BPS_MAX is '10001'; accepted: an integer from 0 to 10000"),
        ("HTTP_BIND", "8080", "HTTP_BIND is '8080'; accepted: HOST:PORT, or nothing for no metrics"),
        ("HTTP_BIND", "localhost:65536", "HTTP_BIND is 'localhost:65536'"),
        ("POLY_EXCHANGE_CTF", "0x1", "POLY_EXCHANGE_CTF is '0x1'"),
        ("CLOB_HTTP_URL", "ftp://x", "CLOB_HTTP_URL is 'ftp://x'"),
        ("RISK_MAX_FUN_USDC", "5", "RISK_MAX_FUN_USDC is set, and this version does not apply it"),
        ("LIVE_KEY", "5", "LIVE_KEY is set, and this version does not apply it"),
        ("RISK_MAX_OPEN_USDC", "-1", "RISK_MAX_OPEN_USDC is '-1'; accepted: a decimal of USDC from 0, or nothing"),
        ("RISK_MAX_OPEN_POSITIONS", "2.5", "RISK_MAX_OPEN_POSITIONS is '2.5'; accepted: an integer from 0"),
        ("RISK_DAY_RESET_HOUR_UTC", "24", "RISK_DAY_RESET_HOUR_UTC is '24'; accepted: an integer from 0 to 23"),
        ("RISK_LOSS_STREAK_COOLDOWN_MS", "86400001", "accepted: milliseconds, an integer from 0 to 86400000"),
        ("GATE_REGISTRY_AGE_MAX_MS", "60000", "accepted: REGISTRY_SYNC_INTERVAL_MS (900000) or more"),
        ("TELEGRAM_CHAT_ID", "42", "TELEGRAM_BOT_TOKEN is not set; both or none"),
        ("TRACK_TOP_MARKETS", "1001", "TRACK_TOP_MARKETS is '1001'; accepted: an integer from 0 to 1000"),
        ("SIZING_MODE", "half", "SIZING_MODE is 'half'; accepted: ratio, fixed_usdc, bankroll"),
        ("MAKER_LEADER_RATIO", "-0.5", "MAKER_LEADER_RATIO is '-0.5'; accepted: a decimal, 0 or above"),
        ("LEADER_EVENT_POLICIES", "SPLIT=mirror", "LEADER_EVENT_POLICIES is 'SPLIT=mirror'; accepted: comma-separated"),
        ("SPREAD_MAX", "1.5", "SPREAD_MAX is '1.5'; accepted: a decimal from 0 to 1, or nothing"),
        (
            "ORDER_WINDOW_MS",
            "600001",
            "accepted: milliseconds, an integer from 0 to 600000",
        ),
        ("SLIPPAGE_TICKS_MAX", "two", "SLIPPAGE_TICKS_MAX is 'two'; accepted: an integer from 0 to 10000, or nothing"),
    ],
)
def test_a_value_we_cannot_use_is_named_with_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as refused:
        load()

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "way.txt has 0 latencies, not 1 to 100000"),
        (b"150\nhush, a key\n", "line 2 of way.txt is no number of milliseconds"),
        (b"150\n-1\n", "line 2 of way.txt is not from 0 to 600000 (ms)"),
        (b"\xff\xfe\x00", "way.txt is no UTF-8 text"),
        (b"1\n" * 100_001, "way.txt has 100001 latencies, not 1 to 100000"),
    ],
)
@pytest.mark.parametrize("read", [load, lambda: with_changes({}, {"SUBMIT_LATENCY_MS": "file:way.txt"})])
def test_what_is_wrong_in_a_file_of_latencies_is_said_and_nothing_of_it_is_shown(
    read: Callable[[], Settings], content: bytes, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "way.txt").write_bytes(content)
    monkeypatch.setenv("DECISION_LATENCY_MS", "file:way.txt")

    with pytest.raises(ConfigurationError) as refused:
        read()

    assert str(refused.value).endswith(f"file:PATH of measured ones; {said}")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("whose", ["", "LIVE_SIGNER_"])
def test_a_price_band_that_no_price_satisfies_is_refused(whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{whose}PRICE_MIN", "0.9")
    monkeypatch.setenv(f"{whose}PRICE_MAX", "0.1")
    said = rf"^{whose}PRICE_MIN is 0.90; accepted: {whose}PRICE_MAX \(0.10\) or less"

    with pytest.raises(ConfigurationError, match=said):
        load()


def test_an_empty_guard_is_off_and_words_are_compared_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPREAD_MAX", "")
    monkeypatch.setenv("PRICE_MAX", "0.95")
    monkeypatch.setenv("KEYWORDS_DENY", " Trump, ÉLECTION ,trump,")

    settings = load()

    assert (settings.spread_max, settings.price_max) == (None, 950_000)
    assert settings.keywords_deny == ("trump", "élection")


def test_every_rule_of_copying_is_a_setting_that_the_worker_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADER_COOLDOWN_MS", "1500")

    rules = build_rules(load())

    assert rules.leader_cooldown_ms == 1_500
    assert set(RULES) <= {rule.name for rule in fields(CopyRules)} <= set(Settings.model_fields)


def test_keys_inside_urls_are_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_HTTP_URL", "wss://user:hunter2@rpc.example/v2/SECRETKEY?token=T0KEN")

    with pytest.raises(ConfigurationError) as refused:
        load()

    said = str(refused.value)
    assert "rpc.example" in said
    assert not any(secret in said for secret in ("hunter2", "SECRETKEY", "T0KEN"))


@pytest.mark.parametrize("mode", ["data_api", "rtds"])
def test_a_trigger_without_the_chain_needs_no_chain(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("TRIGGER_MODE", mode)

    require_chain(load())


@pytest.mark.parametrize("mode", ["polygon", "both", "all"])
def test_a_chain_trigger_without_a_url_is_refused(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("TRIGGER_MODE", mode)

    with pytest.raises(ConfigurationError, match="POLYGON_HTTP_URL is not set"):
        require_chain(load())


def test_a_misspelt_variable_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGER_MODE", "both")
    monkeypatch.setenv("MAX_USDC_TRADE", "5")
    monkeypatch.setenv("SOMETHING_ELSE", "5")

    assert misspelt() == [("MAX_USDC_TRADE", "MAX_USDC_PER_TRADE"), ("TRIGER_MODE", "TRIGGER_MODE")]


def test_the_example_file_states_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load()
    example = Path(__file__).parents[2] / ".env.example"
    Path(".env").write_text(example.read_text())

    assert load() == defaults


def test_limits_start_with_what_is_set_and_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_MAX_OPEN_USDC", "250.5")
    monkeypatch.setenv("RISK_MAX_OPEN_POSITIONS", "7")
    monkeypatch.setenv("RISK_MAX_USDC_PER_DAY", "")

    assert load().start_limits() == {
        LimitName.MAX_OPEN_USDC: 250_500_000,
        LimitName.MAX_OPEN_POSITIONS: 7,
        LimitName.LOSS_STREAK_COOLDOWN_MS: 3_600_000,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("NOTIFY_WEBHOOK_URL", "hooks.example/T0KEN"), ("NOTIFY_WEBHOOK_URL", "ftp://hooks.example/T0KEN")],
)
def test_a_secret_that_cannot_be_used_is_not_echoed(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=name) as refused:
        load()

    assert "T0KEN" not in str(refused.value)
    assert "T0KEN" not in repr(refused.value.__cause__)


def test_secrets_do_not_show_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_WEBHOOK_URL", "https://hooks.example/T0KEN")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1234:S3CRET")
    monkeypatch.setenv("TELEGRAM_CHAT_ID", "42")

    assert not any(secret in repr(load()) for secret in ("T0KEN", "S3CRET"))
