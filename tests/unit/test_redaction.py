"""No form of a secret is left in a text, and what is no secret stays."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.redaction import LASTING_MAX, PASSING_MAX, REDACTED, Redaction

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
HASH = "0x" + "5f" * 32
WORDS_OF_CHAIN = "0x" + "5f" * 32 * 7
SIGNATURE = "5f" * 65
WRAPPED_SIGNATURE = "5f" * (65 + 32 + 32 + 186 + 2)
KEYS = st.binary(min_size=32, max_size=32)
# A secret of one letter repeated, or of digits alone, is found in what is around it.
PHRASES = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=40).map("S3~{}".format)


def knowing(*secrets: str | bytes) -> Redaction:
    redaction = Redaction(public_hosts=["gamma.example"])
    redaction.learn(*secrets)
    return redaction


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wss://user:hunter2@rpc.example/v2/KEY?token=T", "wss://rpc.example/[redacted]"),
        ("https://user:hunter2@rpc.example failed", "https://rpc.example failed"),
        ("read https://rpc.example:8545/ failed", "read https://rpc.example:8545/ failed"),
        ("https://gamma.example/markets?id=7", "https://gamma.example/markets?id=7"),
        ("postgresql+psycopg://me:pass@db/copy", "postgresql+psycopg://db/[redacted]"),
        (
            "accepted: postgresql+psycopg://USER:PASSWORD@HOST/NAME",
            "accepted: postgresql+psycopg://USER:PASSWORD@HOST/NAME",
        ),
        (f"bot{TOKEN}/sendMessage", "bot[redacted]/sendMessage"),
        ("Authorization: Bearer abc.def-ghi", f"Authorization: {REDACTED} {REDACTED}"),
        ("sent Bearer abc.def-ghi to it", "sent Bearer [redacted] to it"),
        (
            "{'POLY_SIGNATURE': 'q1w2=', 'POLY_ADDRESS': '0x12'}",
            "{'POLY_SIGNATURE': [redacted], 'POLY_ADDRESS': '0x12'}",
        ),
        (
            '{"apiKey":"k","secret":"s","passphrase":"p"}',
            '{"apiKey":[redacted],"secret":[redacted],"passphrase":[redacted]}',
        ),
        ("LIVE_PRIVATE_KEY=0x12", "LIVE_PRIVATE_KEY=[redacted]"),
        (f"signed 0x{SIGNATURE}, {WRAPPED_SIGNATURE}", "signed [redacted], [redacted]"),
        (f"order {HASH} is a log with {WORDS_OF_CHAIN}", f"order {HASH} is a log with {WORDS_OF_CHAIN}"),
        ("nothing to hide: abc", "nothing to hide: abc"),
    ],
)
def test_secrets_are_taken_out_and_all_else_is_left(text: str, told: str) -> None:
    assert knowing(TOKEN, "abc").text(text) == told


@given(KEYS, st.text(max_size=8))
def test_no_form_of_a_key_is_left(key: bytes, around: str) -> None:
    redaction = knowing(key)
    forms = [
        key.hex(),
        key.hex().upper(),
        f"0x{key.hex()}",
        "".join(one.upper() if at % 2 else one for at, one in enumerate(key.hex())),
        str(int.from_bytes(key)),
        str(int.from_bytes(key, "little")),
        base64.b64encode(key).decode(),
        base64.urlsafe_b64encode(key).decode(),
        repr(key),
        str(list(key)),
        str({"key": key}),
    ]
    for form in forms:
        told = redaction.known(f"{around}{form}{around}")
        assert REDACTED in told
        assert key.hex() not in told.lower()
        assert form.strip("b'\"[]={}key: ") not in told


@given(PHRASES, st.text(max_size=8))
def test_no_form_of_a_text_is_left(secret: str, around: str) -> None:
    redaction = knowing(secret)
    forms = [secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret), quote(secret)]
    forms += [repr(f"'{secret}"), repr(f'"{secret}'), repr(ValueError(f"'\"{secret}"))]
    for form in forms:
        told = redaction.known(f"{around}{form}{around}")
        assert REDACTED in told
        assert "S3~" not in told.replace(around, "")


@given(st.one_of(PHRASES, KEYS.map(bytes.hex)))
def test_a_structure_is_cleaned_in_its_keys_and_leaves(secret: str) -> None:
    redaction = knowing(secret)
    clean = redaction.value({secret: [1, None, True, (secret, {"x": f"a{secret}"})], "n": 1.5, "passphrase": "other"})

    assert clean == {REDACTED: [1, None, True, [REDACTED, {"x": f"a{REDACTED}"}]], "n": 1.5, "passphrase": REDACTED}


def test_a_key_that_is_told_as_a_number_is_none() -> None:
    key = bytes(range(1, 33))

    assert knowing(key).value({"key": int.from_bytes(key), "other": 7}) == {"key": REDACTED, "other": 7}


def test_the_keys_of_a_long_life_push_out_no_lasting_secret() -> None:
    redaction = knowing("the lasting one")
    for number in range(PASSING_MAX * 2):
        redaction.learn(f"passing {number:05}", passing=True)

    assert redaction.known("the lasting one") == REDACTED
    assert redaction.known(f"passing {PASSING_MAX * 2 - 1:05}") == REDACTED
    assert len(redaction._passing) == PASSING_MAX
    for number in range(LASTING_MAX * 2):
        redaction.learn(f"lasting {number:05}")
    assert len(redaction._lasting) == LASTING_MAX


def test_a_long_text_without_a_blank_is_read_in_good_time() -> None:
    redaction = knowing(bytes(range(32)), "hunter2")
    for text in ("5f" * 200_000, "a_" * 200_000, "x" * 400_000, "a.b-" * 100_000):
        assert redaction.text(text) in {text, REDACTED}
