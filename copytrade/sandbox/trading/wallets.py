"""Wallets that trade for an owner: proxies, safes and deposit wallets, and who may sign for them.

Their addresses follow from the owner's (CREATE2). The factories, the implementations and the
layout of the init code are those of the deployed contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from copytrade.sandbox.digest import keccak256

PROXY_FACTORY = "ab45c5a4b0c941a2f231c04c3f49182e1a254052"
PROXY_IMPLEMENTATION = "44e999d5c2f66ef0861317f9a4805ac2e90aeb4f"
SAFE_FACTORY = "aacfeea03eb1561c4e67d661e40682bd20e3541b"
SAFE_INIT_CODE_HASH = "2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"
DEPOSIT_FACTORY = "00000000000fb5c9adea0298d729a0cb3823cc07"
DEPOSIT_IMPLEMENTATION = "58ca52ebe0dadfdf531cde7062e76746de4db1eb"
DEPOSIT_BEACON = "7a18edfe055488a3128f01f563e5b479d92ffc3a"

_ERC1967_HEAD = 0x61003D3D8160233D3973
_ERC1967_TAIL = (
    "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
)
_BEACON_HEAD = 0x6100523D8160233D3973
_BEACON_TAIL = (
    "60195155f3363d3d373d3d363d602036600436635c60da1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335"
    "a9a72aeaee59ff6cb3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)


class SignatureType(IntEnum):
    """How an order is signed (CTF Exchange V2 `SignatureType`)."""

    EOA = 0
    POLY_PROXY = 1
    POLY_GNOSIS_SAFE = 2
    POLY_1271 = 3


@dataclass(slots=True, kw_only=True)
class Account:
    """A wallet the venue knows; addresses in lower case.

    `session_signers` may sign for a deposit wallet as well as its owner. A deposit-only account may
    not trade from another kind of wallet; a closed-only one may only sell; a banned one nothing.
    """

    wallet: str
    owner: str
    signature_type: SignatureType
    session_signers: frozenset[str] = frozenset()
    deposit_only: bool = False
    closed_only: bool = False
    banned: bool = False


def proxy_of(owner: str) -> str:
    """Return the proxy wallet that the proxy factory makes for an owner."""
    init_code = bytes.fromhex(
        f"3d3d606380380380913d393d73{PROXY_FACTORY}5af4602a57600080fd5b602d8060366000396000f3"
        f"363d3d373d3d3d363d73{PROXY_IMPLEMENTATION}5af43d82803e903d91602b57fd5bf352e831dd" + f"{0x20:064x}{0:064x}"
    )
    return _create2(PROXY_FACTORY, keccak256(_bytes(owner)), keccak256(init_code))


def safe_of(owner: str) -> str:
    """Return the Gnosis safe that the safe factory makes for an owner."""
    return _create2(SAFE_FACTORY, keccak256(bytes(12) + _bytes(owner)), bytes.fromhex(SAFE_INIT_CODE_HASH))


def deposit_wallets_of(owner: str) -> tuple[str, str]:
    """Return the deposit wallets of an owner: behind the beacon, and the first kind."""
    arguments = bytes(12) + bytes.fromhex(DEPOSIT_FACTORY) + bytes(12) + _bytes(owner)
    made = []
    for head, target, tail in (
        (_BEACON_HEAD, DEPOSIT_BEACON, _BEACON_TAIL),
        (_ERC1967_HEAD, DEPOSIT_IMPLEMENTATION, _ERC1967_TAIL),
    ):
        length_in_place = head + (len(arguments) << 56)
        init_code = length_in_place.to_bytes(10) + bytes.fromhex(target + tail) + arguments
        made.append(_create2(DEPOSIT_FACTORY, keccak256(arguments), keccak256(init_code)))
    return made[0], made[1]


class Accounts:
    """Every wallet the venue knows, and whose the others would be."""

    def __init__(self) -> None:
        """Know nobody."""
        self._by_wallet: dict[str, Account] = {}

    def put(self, account: Account) -> None:
        """Add an account, or replace what is known of its wallet."""
        self._by_wallet[account.wallet] = account

    def find(self, wallet: str) -> Account | None:
        """Return the account of a wallet."""
        return self._by_wallet.get(wallet.lower())

    def all(self) -> list[Account]:
        """Return every account in the order they came."""
        return list(self._by_wallet.values())

    def wallet_of(self, owner: str, signature_type: SignatureType) -> str:
        """Return the wallet an owner trades from with a kind of signature: a known one, else the derived one."""
        for account in self._by_wallet.values():
            if account.owner == owner and account.signature_type is signature_type:
                return account.wallet
        return derived_wallet(owner, signature_type)

    def may_sign(self, signer: str, *, wallet: str, signature_type: SignatureType) -> bool:
        """Say whether the contracts take a key's signature for a wallet."""
        account = self.find(wallet)
        if account is not None and account.signature_type is signature_type:
            return signer == account.owner
        if signature_type is SignatureType.POLY_1271:
            return wallet in deposit_wallets_of(signer)
        return wallet == derived_wallet(signer, signature_type)


def derived_wallet(owner: str, signature_type: SignatureType) -> str:
    """Return the wallet that the factories give an owner; for an EOA itself."""
    if signature_type is SignatureType.POLY_PROXY:
        return proxy_of(owner)
    if signature_type is SignatureType.POLY_GNOSIS_SAFE:
        return safe_of(owner)
    if signature_type is SignatureType.POLY_1271:
        return deposit_wallets_of(owner)[0]
    return owner


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def _create2(factory: str, salt: bytes, init_code_hash: bytes) -> str:
    return "0x" + keccak256(b"\xff" + bytes.fromhex(factory) + salt + init_code_hash)[12:].hex()
