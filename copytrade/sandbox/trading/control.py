"""Control of the trading half: accounts, failures, windows, lost answers, and the venue's own record.

`GET /control/...`

- `posts`: every order of every `POST /order` and `POST /orders`, with the hash the venue computed and
  what it was answered; also the refused ones, and with the outcome "lost on the way" the lost ones
- `orders`, `trades`: what became of them, amounts in micro-units
- `accounts`: wallets with their balances and allowances on chain, what orders and matched trades keep
  of their collateral, in micro-units

`POST /control/...` with a JSON object; money and shares are decimal strings, all else as named

- `account` {wallet, owner?, type: 0-3, collateral?, shares?: {token: amount}, approve?: "all"|"none"|
  {spender: amount}, session_signers?, deposit_only?, closed_only?, banned?, unseen?}: open an account, or
  change what is given; `unseen` lets the venue go on with what it knew until it is asked to look again
- `settlement` {failure_rate?, retry_rate?, next?: ["ok"|"retry"|"fail"|"never"], broadcast_ms?, retry_ms?,
  retries?}: what becomes of matched trades; a failed one never has a log
- `engine` {mode: "restarting"|"post_only"|"cancel_only"|"disabled"|"normal", for_ms?, post_only_ms?, key?:
  "error"|"error_msg"}: windows; after a restart of `for_ms` comes post-only mode of `post_only_ms`
- `trouble` {kind: "lost_request"|"lost_response"|"late_response"|"duplicate"|"status", target: "POST /order",
  count: 1, rate: 1, ms?, status?, body?, applied?, retry_after?}: what happens to requests or answers;
  `status` replaces the answer, by a page when `body` is text, and acts on the request if `applied`
- `delay` {ms, word: "delayed", matches: true, count: 1} and {taker_ms}: orders answered before they match,
  or time out unmatched; how long marketable orders are held where the market says so
- `credentials` {revoke: true, address?}: keys are refused until derived again, their sockets are cut
- `venue` {version?, blocked?, country?}: what `/version` says (other orders are then refused), geoblock
- `phantom` {wallet, matched}: collateral the venue takes for matched though nothing is
- `limits` {enforced?, orders?: [per second, burst], cancels?, windows?: {"POST /order": n}, queue_ms?}
- `answers` {refusals_in_body?, hashes_inline?, integer_amounts?, null_errors?, forgets_closed?, pushes?}:
  variants of answers that documents or recordings show; how often the user socket says each thing

The user socket is the kind "user" of `drop` and `freeze`. `heal` undoes all but accounts and orders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from copytrade.sandbox.trading.command_body import (
    Body,
    read_address,
    read_amount,
    read_choice,
    read_choices,
    read_rate,
    read_whole,
    wrong,
)
from copytrade.sandbox.trading.conditions import AnswerRule, Conditions, DelayRule, Fate, Mode, Trouble
from copytrade.sandbox.trading.floor import TradingFloor
from copytrade.sandbox.trading.funds import SPENDERS, Purse
from copytrade.sandbox.trading.limits import Allowance, Limits
from copytrade.sandbox.trading.wallets import Account, SignatureType
from copytrade.sandbox.world import World

VARIANTS = ("refusals_in_body", "hashes_inline", "integer_amounts", "null_errors", "forgets_closed")


class TradingControl:
    """The commands and readings of this half, for the control endpoint to offer."""

    def __init__(self, *, floor: TradingFloor, world: World) -> None:
        """Control the given floor."""
        self._floor = floor
        self._world = world
        self._conditions = floor.conditions
        self.reads: dict[str, Callable[[], Any]] = {
            "/posts": floor.record.rows,
            "/orders": self._orders,
            "/trades": self._trades,
            "/accounts": self._accounts,
        }
        self.commands: dict[str, Callable[[Body], Any]] = {
            "/account": self._account,
            "/settlement": self._settlement,
            "/engine": self._engine,
            "/trouble": self._trouble,
            "/delay": self._delay,
            "/credentials": self._credentials,
            "/venue": self._venue,
            "/phantom": self._phantom,
            "/limits": self._limits,
            "/answers": self._answers,
        }

    def heal(self) -> None:
        """Make everything normal again; accounts, orders and the record stay."""
        _reset(self._conditions, Conditions(seed=self._conditions.seed))
        _reset(self._floor.limits, Limits())
        funds = self._floor.desk.funds
        funds.phantom.clear()
        for account in self._floor.desk.accounts.all():
            funds.look_again(account.wallet)

    def _orders(self) -> list[Body]:
        return [
            {
                "order_id": order.order_id,
                "wallet": order.wallet,
                "market": order.market.condition,
                "token_id": str(order.signed.fields.token),
                "side": "BUY" if order.is_buy else "SELL",
                "order_type": order.signed.order_type,
                "limit": order.limit,
                "shares": order.signed.shares,
                "collateral": order.signed.collateral,
                "matched_shares": order.matched,
                "matched_collateral": order.spent,
                "status": order.status,
                "is_open": order.is_open,
                "trades": list(order.trade_ids),
            }
            for order in self._floor.desk.orders.all()
        ]

    def _trades(self) -> list[Body]:
        return [
            {
                "trade_id": trade.trade_id,
                "status": trade.status,
                "tx_hash": trade.transaction.tx_hash,
                "matched_ms": trade.matched_ms,
                "fills": [
                    {
                        "order_id": fill.order_hash,
                        "wallet": fill.owner,
                        "role": fill.role,
                        "token_id": str(fill.token),
                        "side": "SELL" if fill.side else "BUY",
                        "shares": fill.size,
                        "collateral": fill.collateral,
                        "fee": fill.fee,
                    }
                    for fill in trade.fills
                ],
            }
            for trade in self._floor.desk.settlements.all()
        ]

    def _accounts(self) -> list[Body]:
        desk = self._floor.desk
        return [
            {
                "wallet": account.wallet,
                "owner": account.owner,
                "type": int(account.signature_type),
                "collateral": desk.funds.purse(account.wallet).collateral,
                "shares": {str(token): held for token, held in desk.funds.purse(account.wallet).shares.items() if held},
                "reserved": desk.orders.reserved_by(account.wallet, None),
                "matched": desk.settlements.owed_by(account.wallet, None),
            }
            for account in desk.accounts.all()
        ]

    def _account(self, body: Body) -> Body:
        wallet = read_address(body, "wallet")
        known = self._floor.desk.accounts.find(wallet)
        purse = self._floor.desk.funds.purse(wallet).copy()
        _fill(purse, body, is_new=known is None)
        account = _describe(wallet, body, known)
        if body.get("unseen") is True:
            self._floor.desk.funds.hide_changes(wallet)
        self._floor.desk.accounts.put(account)
        self._floor.desk.funds.put(wallet, purse)
        return {"wallet": wallet, "owner": account.owner, "type": int(account.signature_type)}

    def _settlement(self, body: Body) -> Body:
        state = self._conditions
        fates = read_choices(body, "next", Fate)
        state.failure_rate = read_rate(body, "failure_rate", state.failure_rate)
        state.retry_rate = read_rate(body, "retry_rate", state.retry_rate)
        for name in ("broadcast_ms", "retry_ms", "retries"):
            setattr(state, name, read_whole(body, name, getattr(state, name)))
        if "next" in body:
            state.fates = deque(fates)
        return {"failure_rate": state.failure_rate, "retry_rate": state.retry_rate, "next": list(state.fates)}

    def _engine(self, body: Body) -> Body:
        mode = read_choice(body, "mode", Mode)
        spelling = body.get("key", self._conditions.spelling)
        if spelling not in ("error", "error_msg"):
            raise wrong("key", "error or error_msg")
        lasting, after = read_whole(body, "for_ms", 0), read_whole(body, "post_only_ms", 0)
        now_ms = self._world.now_ms
        phases: list[tuple[Mode, int | None]] = [(mode, now_ms + lasting if lasting else None)]
        if after:
            phases.append((Mode.POST_ONLY, now_ms + lasting + after))
        self._conditions.spelling = spelling
        self._conditions.set_modes([] if mode is Mode.NORMAL else phases)
        return {"mode": mode, "until_ms": phases[0][1]}

    def _trouble(self, body: Body) -> Body:
        target = body.get("target", "POST /order")
        if not isinstance(target, str) or not target:
            raise wrong("target", "a method and a path, as in POST /order")
        rule = AnswerRule(
            trouble=read_choice(body, "kind", Trouble),
            target=target,
            remaining=read_whole(body, "count", 1),
            rate=read_rate(body, "rate", 1.0),
            ms=read_whole(body, "ms", 0),
            status=read_whole(body, "status", 500),
            body=body.get("body", {"error": "could not run the execution"}),
            applied=body.get("applied") is True,
            retry_after_s=read_whole(body, "retry_after", 0) if "retry_after" in body else None,
        )
        self._conditions.answers.append(rule)
        return {"kind": rule.trouble, "target": target, "count": rule.remaining}

    def _delay(self, body: Body) -> Body:
        if "taker_ms" in body:
            self._conditions.taker_delay_ms = read_whole(body, "taker_ms", 0)
        if "ms" in body:
            rule = DelayRule(
                word=str(body.get("word", "delayed")),
                ms=read_whole(body, "ms", 0),
                matches=body.get("matches", True) is True,
                remaining=read_whole(body, "count", 1),
            )
            self._conditions.delays.append(rule)
        return {"delays": len(self._conditions.delays), "taker_ms": self._conditions.taker_delay_ms}

    def _credentials(self, body: Body) -> Body:
        if body.get("revoke") is not True:
            raise wrong("revoke", "true")
        address = read_address(body, "address") if "address" in body else None
        return {"revoked": len(self._floor.revoke(address))}

    def _venue(self, body: Body) -> Body:
        state = self._conditions
        state.version = read_whole(body, "version", state.version)
        state.blocked = body.get("blocked", state.blocked) is True
        state.country = str(body.get("country", state.country))
        return {"version": state.version, "blocked": state.blocked, "country": state.country}

    def _phantom(self, body: Body) -> Body:
        wallet = read_address(body, "wallet")
        self._floor.desk.funds.phantom[wallet] = read_amount(body, "matched")
        return {"wallet": wallet, "matched": self._floor.desk.funds.phantom[wallet]}

    def _limits(self, body: Body) -> Body:
        limits = self._floor.limits
        orders, cancels = _allowance(body, "orders", limits.orders), _allowance(body, "cancels", limits.cancels)
        windows = body.get("windows", {})
        if not isinstance(windows, dict):
            raise wrong("windows", "numbers by method and path")
        for route, most in windows.items():
            method, _, path = str(route).partition(" ")
            limits.windows[method, path] = read_whole({route: most}, str(route), 0)
        limits.orders, limits.cancels = orders, cancels
        limits.enforced = body.get("enforced", limits.enforced) is True
        limits.queue_ms = read_whole(body, "queue_ms", limits.queue_ms)
        return {"enforced": limits.enforced, "queue_ms": limits.queue_ms}

    def _answers(self, body: Body) -> Body:
        for name in VARIANTS:
            if name in body:
                setattr(self._conditions, name, body[name] is True)
        self._conditions.pushes = max(1, read_whole(body, "pushes", self._conditions.pushes))
        return {name: getattr(self._conditions, name) for name in (*VARIANTS, "pushes")}


def _reset(target: Conditions | Limits, healthy: Conditions | Limits) -> None:
    for one in fields(healthy):
        setattr(target, one.name, getattr(healthy, one.name))


def _describe(wallet: str, body: Body, known: Account | None) -> Account:
    kind = read_whole(body, "type", 0 if known is None else int(known.signature_type))
    if kind not in list(SignatureType):
        raise wrong("type", "a signature type from 0 to 3")
    owner = read_address(body, "owner") if "owner" in body else (wallet if known is None else known.owner)
    signers = body.get("session_signers", [] if known is None else list(known.session_signers))
    if not isinstance(signers, list) or not all(isinstance(one, str) for one in signers):
        raise wrong("session_signers", "a list of addresses")
    flags = {
        name: body.get(name, False if known is None else getattr(known, name)) is True
        for name in ("deposit_only", "closed_only", "banned")
    }
    return Account(
        wallet=wallet,
        owner=owner,
        signature_type=SignatureType(kind),
        session_signers=frozenset(one.lower() for one in signers),
        **flags,
    )


def _fill(purse: Purse, body: Body, *, is_new: bool) -> None:
    if "collateral" in body:
        purse.collateral = read_amount(body, "collateral")
    held = body.get("shares", {})
    if not isinstance(held, dict):
        raise wrong("shares", "amounts by token")
    for token, amount in held.items():
        if not str(token).isdigit():
            raise wrong("shares", "amounts by token")
        purse.shares[int(token)] = read_amount({"shares": amount}, "shares")
    approve = body.get("approve", "all" if is_new else None)
    if approve == "all":
        purse.approve_all()
    elif approve == "none":
        purse.allowances, purse.operators = {}, set()
    elif isinstance(approve, dict):
        given = {
            str(spender).lower(): read_amount({"approve": amount}, "approve") for spender, amount in approve.items()
        }
        purse.allowances = given
        purse.operators = {spender for spender in SPENDERS if given.get(spender)}
    elif approve is not None:
        raise wrong("approve", "all, none or amounts by spender")


def _allowance(body: Body, name: str, known: Allowance) -> Allowance:
    pair = body.get(name, [known.per_second, known.burst])
    if not isinstance(pair, list) or len(pair) != 2:
        raise wrong(name, "[requests per second, burst]")
    per_second, burst = (read_whole({name: value}, name, 1) for value in pair)
    return Allowance(per_second=max(per_second, 1), burst=burst)
