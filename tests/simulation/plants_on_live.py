"""Bugs in sending real orders, each as somebody has shipped it; they are looked for at the venue's own record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from copytrade.adapters.live import following, posting, rows
from copytrade.adapters.live.typed_data import order_hash
from copytrade.adapters.live.verdicts import WORDS, Refused, Taken
from copytrade.domain.attempts import AttemptStatus, Settlement, reason
from copytrade.ports.execution import NotSentError


def takes_an_unknown_word_for_an_end(patch: pytest.MonkeyPatch) -> None:
    """Take an order that is answered with a word that nobody knows for one that is over."""
    judge = posting.verdict_of

    def verdict_of(answer: Any, *, order_hash: str) -> Any:
        verdict = judge(answer, order_hash=order_hash)
        if isinstance(verdict, Taken) and verdict.word not in WORDS:
            return Refused(status=AttemptStatus.FAILED, why=reason("UNKNOWN_WORD", word=verdict.word))
        return verdict

    patch.setattr(posting, "verdict_of", verdict_of)


def takes_no_notice_of_a_failed_settlement(patch: pytest.MonkeyPatch) -> None:
    """Keep what was matched, whatever becomes of it on the chain."""
    settlement_before = rows.settlement_of

    def settlement_of(word: str) -> Settlement:
        told = settlement_before(word)
        return Settlement.MATCHED if told is Settlement.FAILED else told

    patch.setattr(rows, "settlement_of", settlement_of)


def buys_again_what_did_not_settle(patch: pytest.MonkeyPatch) -> None:
    """Send another order for what failed on its way to the chain."""
    post_before, take_before = posting.Posting.post, following.Following._take
    sent: dict[str, tuple[Any, bytes]] = {}

    async def post(self: posting.Posting, order: Any, signature: bytes, *, order_hash: str) -> Any:
        sent[order_hash] = (order, signature)
        return await post_before(self, order, signature, order_hash=order_hash)

    async def take(self: following.Following, trade: Any, *, is_pushed: bool) -> None:
        await take_before(self, trade, is_pushed=is_pushed)
        if trade.settlement is Settlement.FAILED and trade.order_hash in sent:
            order, signature = sent.pop(trade.order_hash)
            again = replace(order, salt=order.salt + 1)
            try:
                await post_before(self._posting, again, signature, order_hash=order_hash(again))
            except NotSentError:
                return

    patch.setattr(posting.Posting, "post", post)
    patch.setattr(following.Following, "_take", take)
