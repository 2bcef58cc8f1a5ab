"""All that a worker in live mode may not tell, drawn at random, in every shape in which it may come to be printed."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import Phase
from hypothesis import strategies as st

WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A secret is as it is; a smaller one says no more."""
WORDS = st.text(
    st.sampled_from("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789-_"), min_size=10, max_size=40
).map("{}7".format)
PHRASES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8, max_size=30)


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """All that a worker in live mode may not tell."""

    key: bytes
    api_key: str
    api_secret: bytes
    passphrase: str
    keystore_passphrase: str
    token: str
    password: str
    node_key: str
    node_user: str
    signature: bytes

    @property
    def node_url(self) -> str:
        return f"https://{self.node_user}:{self.password}@rpc.example/v2/{self.node_key}"

    def shapes(self) -> list[str]:
        """Return each secret in every shape in which a program may come to print it."""
        raw = [self.key, self.api_secret]
        texts = [self.api_key, self.passphrase, self.keystore_passphrase, self.token, self.password, self.node_key]
        return [
            *(one.hex() for one in (*raw, self.signature)),
            f"0x{self.key.hex().upper()}",
            f"0x{self.signature.hex()}",
            str(int.from_bytes(self.key)),
            *(base64.urlsafe_b64encode(one).decode() for one in raw),
            *(repr(one) for one in raw),
            *texts,
            *(repr(one) for one in texts),
            quote(self.password, safe=""),
        ]

    def found_in(self, told: str) -> list[str]:
        """Return what of it is there."""
        bare = {shape.strip("'\"") for shape in self.shapes()}
        return [shape for shape in bare if shape in told or (shape.startswith("0x") and shape.lower() in told.lower())]


def distinct(one: Secrets) -> bool:
    texts = [one.api_key, one.passphrase, one.keystore_passphrase, one.token, one.password, one.node_key]
    return len(set(texts)) == len(texts)


SECRETS = st.builds(
    Secrets,
    key=st.binary(min_size=32, max_size=32).filter(lambda raw: 2**200 < int.from_bytes(raw) < 2**255),
    api_key=st.uuids().map(str),
    api_secret=st.binary(min_size=32, max_size=32).filter(any),
    passphrase=WORDS,
    keystore_passphrase=PHRASES.map("k3y {}".format),
    token=WORDS.map("12345:{}".format),
    password=WORDS,
    node_key=WORDS,
    node_user=WORDS,
    signature=st.binary(min_size=65, max_size=65).filter(any),
).filter(distinct)
