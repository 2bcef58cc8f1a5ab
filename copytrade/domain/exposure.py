"""What is at stake: positions at their cost and open buys as if they were filled at worst, summed as limits need it.

Sums are kept, not made anew, so that a decision costs the same however much is held. A position counts at its own
cost. What is at stake after one leader counts at what copying him has cost: a sale takes his shares first and then
the others' in proportion (as `domain.stakes` has it), so that nobody's part grows by what another does.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from copytrade.domain.scopes import EVERYTHING, Group, Line, Scope, Subject
from copytrade.domain.settlement import split_exactly
from copytrade.domain.worst_case import UNKNOWN_FEES, worst_case

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from copytrade.domain.market import FeeSchedule
    from copytrade.domain.units import Millis, Price, Shares, Usdc

MINUTE_MS: Final = 60_000
RESULTS_KEPT_MAX: Final = 1_000
_BY_GROUP: Final = frozenset({Subject.MARKET, Subject.EVENT, Subject.CATEGORY})
_ALL: Final = (Subject.ALL, "")
_UNMAPPED: Final = (Subject.UNMAPPED, "")


class Result(NamedTuple):
    """What one exit brought, net of its fees."""

    at_ms: Millis
    net_usdc: Usdc
    scopes: tuple[Scope, ...]


class LineStake(NamedTuple):
    """What is held of a token after one leader, and what it cost."""

    leader: str
    shares: Shares
    cost: Usdc


class _Order:
    """An open buy. `reserved` is its worst case from the start, `spent` what it has paid since."""

    __slots__ = ("fees", "limit", "line", "remaining", "reserved", "spent")

    def __init__(self, line: Line, *, shares: Shares, limit: Price, fees: FeeSchedule) -> None:
        self.line = line
        self.limit = limit
        self.fees = fees
        self.remaining = shares
        self.reserved = worst_case(shares, limit, fees)
        self.spent = 0

    @property
    def in_flight(self) -> Usdc:
        """What may still be paid; with `spent` never more than was reserved, however often fills are rounded."""
        return max(0, min(worst_case(self.remaining, self.limit, self.fees), self.reserved - self.spent))


class _Stake:
    """Shares held on one line and what they cost."""

    __slots__ = ("cost", "shares")

    def __init__(self) -> None:
        self.shares = 0
        self.cost = 0


class Exposure:
    """The money at stake of every strategy and account of one process."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._unmapped: dict[str, None] = {}
        self._lines: defaultdict[str, dict[Line, None]] = defaultdict(dict)
        self._stakes: dict[Line, _Stake] = {}
        self._costs: Counter[tuple[Scope, str]] = Counter()
        self._orders: dict[UUID, _Order] = {}
        self._orders_on: Counter[Line] = Counter()
        self._flight_on: Counter[Line] = Counter()
        self._at_stake: dict[tuple[Scope, Subject, str], Usdc] = {}
        self._line_sums: defaultdict[Line, Usdc] = defaultdict(int)
        self._owner_sums: defaultdict[tuple[Scope, str], Usdc] = defaultdict(int)
        """What moved since something was asked, by line and by token: a start counts very much and asks once."""
        self._in_flight: Counter[Scope] = Counter()
        self._spent: Counter[Scope] = Counter()
        self._net: Counter[tuple[Scope, str]] = Counter()
        self._open_lines: Counter[tuple[Scope, Scope, str]] = Counter()
        self._positions: Counter[Scope] = Counter()
        self._entries: dict[UUID, tuple[Millis, Line]] = {}
        self._entry_counts: Counter[Scope] = Counter()
        self.results: deque[Result] = deque(maxlen=RESULTS_KEPT_MAX)

    def at_stake(self, scope: Scope, subject: Subject, name: str = "") -> Usdc:
        """Return the money at stake; what belongs to a market not known yet counts in every market and group."""
        self._sum_up()
        amount = self._at_stake.get((scope, subject, name), 0)
        if subject in _BY_GROUP:
            amount += self._at_stake.get((scope, *_UNMAPPED), 0)
        return amount

    def largest(self, scope: Scope, subject: Subject) -> tuple[str, Usdc]:
        """Return the name with the most at stake, and how much; nothing at stake has no name."""
        self._sum_up()
        names = [name for (of, kind, name) in self._at_stake if of == scope and kind is subject]
        amounts = {name: self.at_stake(scope, subject, name) for name in names}
        return max(amounts.items(), key=lambda item: (item[1], item[0]), default=("", 0))

    def in_flight(self, scope: Scope) -> Usdc:
        """Return what open buys may still pay."""
        return self._in_flight[scope]

    def spent_today(self, scope: Scope) -> Usdc:
        """Return what buys have paid since the day began, fees included."""
        return self._spent[scope]

    def lost_today(self, scope: Scope, leader: str) -> Usdc:
        """Return what copying a leader has lost since the day began, realised and net of fees; 0 after a gain."""
        return max(0, -self._net[scope, leader])

    def leaders(self) -> tuple[str, ...]:
        """Return the leaders with money at stake or a result today."""
        staked = (line.leader for lines in self._lines.values() for line in lines)
        return tuple(sorted({*staked, *(leader for _, leader in self._net)}))

    def positions(self, scope: Scope) -> int:
        """Return how many tokens are held or have an open buy."""
        return self._positions[scope]

    def is_open(self, scope: Scope, line: Line) -> bool:
        """Tell whether a line's token counts among the positions of a scope already."""
        return self._open_lines[scope, line.owner, line.token_id] > 0

    def entries_in_minute(self, scope: Scope, *, now_ms: Millis) -> int:
        """Return how many entries were decided within the last minute."""
        while self._entries:
            attempt_id, (at_ms, line) = next(iter(self._entries.items()))
            if at_ms > now_ms - MINUTE_MS:
                break
            self._forget_entry(attempt_id, line)
        return self._entry_counts[scope]

    def count_entry(self, attempt_id: UUID, line: Line, *, at_ms: Millis) -> bool:
        """Count an entry as decided; False if it is counted already."""
        if attempt_id in self._entries:
            return False
        self._entries[attempt_id] = (at_ms, line)
        self._entry_counts.update(line.scopes)
        return True

    def discount_entry(self, attempt_id: UUID) -> None:
        """Take back that an entry was decided."""
        if attempt_id in self._entries:
            self._forget_entry(attempt_id, self._entries[attempt_id][1])

    def open_order(
        self, attempt_id: UUID, line: Line, *, shares: Shares, limit: Price, fees: FeeSchedule | None
    ) -> None:
        """Count an open buy of `shares` as filled at worst; one that is open already stays as it is."""
        if attempt_id in self._orders:
            return
        order = _Order(line, shares=shares, limit=limit, fees=UNKNOWN_FEES if fees is None else fees)
        self._orders[attempt_id] = order
        self._open(line)
        self._orders_on[line] += 1
        self._fly(line, order.reserved)

    def close_order(self, attempt_id: UUID) -> None:
        """Count an open buy no more; nothing happens if there is none."""
        order = self._orders.pop(attempt_id, None)
        if order is None:
            return
        self._fly(order.line, -order.in_flight)
        self._orders_on[order.line] -= 1
        self._close_if_empty(order.line)

    def bought(self, attempt_id: UUID, line: Line, *, shares: Shares, cost: Usdc, fee: Usdc, is_today: bool) -> None:
        """Count shares of an execution; its order, if it is open, has so much less in flight."""
        if (order := self._orders.get(attempt_id)) is not None:
            before = order.in_flight
            order.remaining -= shares
            order.spent += cost + fee
            self._fly(line, order.in_flight - before)
        self.came(line, shares=shares, cost=cost)
        if is_today:
            for scope in line.scopes:
                self._spent[scope] += cost + fee
                self._net[scope, line.leader] -= fee

    def came(self, line: Line, *, shares: Shares, cost: Usdc) -> None:
        """Count shares that came to be held for what they cost."""
        self._open(line)
        stake = self._stakes.setdefault(line, _Stake())
        stake.shares += shares
        stake.cost += cost
        self._line_sums[line] += cost
        self._hold_more(line.owner, line.token_id, cost)

    def went(self, line: Line, *, shares: Shares, net: Usdc, cost_left: Usdc, is_today: bool, is_his: bool) -> None:
        """Count shares that are held no more, for `net` after fees; what is still held has cost `cost_left`.

        If they are the leader's of the line (`is_his`), because he sold, his go first.
        """
        parts = self._parts(line, shares, is_his=is_his)
        nets = split_exactly(net, parts) if parts else {}
        for part_of, part in parts.items():
            self._lessen(part_of, part, net=nets[part_of], is_today=is_today)
        self.hold_at(line.owner, line.token_id, cost_left)

    def stakes_on(self, owner: Scope, token_id: str) -> tuple[LineStake, ...]:
        """Return what is held of a token, in the order in which shares are split among leaders."""
        return tuple(
            LineStake(line.leader, self._stakes[line].shares, self._stakes[line].cost)
            for line in self._lines.get(token_id, ())
            if line.owner == owner and line in self._stakes
        )

    def cost_on(self, owner: Scope, token_id: str) -> Usdc:
        """Return what a position counts as."""
        return self._costs[owner, token_id]

    def hold_at(self, owner: Scope, token_id: str, cost: Usdc) -> None:
        """Let a position count as that much, whatever its parts have cost."""
        self._hold_more(owner, token_id, cost - self._costs[owner, token_id])

    def start_day(self) -> None:
        """Forget what was spent and earned: a new day begins."""
        self._spent.clear()
        self._net.clear()

    def map_token(self, token_id: str, group: Group) -> None:
        """Say where a token belongs."""
        if self._groups.get(token_id) == group:
            return
        self._sum_up()
        lines = list(self._lines.get(token_id, ()))
        amounts = [(line.scopes[2], self._stake_of(line) + self._flight_on[line]) for line in lines]
        for owner in {line.owner for line in lines}:
            flying = sum(self._flight_on[line] for line in lines if line.owner == owner)
            amount = self._costs[owner, token_id] + flying
            amounts += [(EVERYTHING, amount), (owner, amount)]
        for scope, amount in amounts:
            self._sum((scope,), self._groups_of(token_id), -amount)
        self._groups[token_id] = group
        self._unmapped.pop(token_id, None)
        for scope, amount in amounts:
            self._sum((scope,), self._groups_of(token_id), amount)

    def tokens(self) -> tuple[str, ...]:
        """Return the tokens with money at stake."""
        return tuple(token_id for token_id, lines in self._lines.items() if lines)

    def unmapped(self) -> tuple[str, ...]:
        """Return the tokens with money at stake of which nobody has said where they belong."""
        return tuple(self._unmapped)

    def _stake_of(self, line: Line) -> Usdc:
        return self._stakes[line].cost if line in self._stakes else 0

    def _parts(self, line: Line, shares: Shares, *, is_his: bool) -> dict[Line, Shares]:
        """Return how many shares each line gives up; more than are held are all of them."""
        held = {
            one: self._stakes[one].shares
            for one in self._lines.get(line.token_id, ())
            if one.owner == line.owner and one in self._stakes
        }
        own = min(held.get(line, 0), shares) if is_his else 0
        left = {one: amount - (own if one == line else 0) for one, amount in held.items()}
        rest = split_exactly(min(shares - own, sum(left.values())), left) if any(left.values()) else {}
        parts = {one: rest.get(one, 0) + (own if one == line else 0) for one in held}
        return {one: part for one, part in parts.items() if part}

    def _lessen(self, line: Line, part: Shares, *, net: Usdc, is_today: bool) -> None:
        stake = self._stakes[line]
        cost = stake.cost * part // stake.shares
        stake.shares -= part
        stake.cost -= cost
        self._line_sums[line] -= cost
        if is_today:
            for scope in line.scopes:
                self._net[scope, line.leader] += net - cost
        if not stake.shares:
            del self._stakes[line]
            self._close_if_empty(line)

    def _open(self, line: Line) -> None:
        """Take a line in, unless it is there for another reason already."""
        if self._orders_on[line] or line in self._stakes:
            return
        self._lines[line.token_id][line] = None
        if line.token_id not in self._groups:
            self._unmapped[line.token_id] = None
        for scope in line.scopes:
            self._open_lines[scope, line.owner, line.token_id] += 1
            if self._open_lines[scope, line.owner, line.token_id] == 1:
                self._positions[scope] += 1

    def _close_if_empty(self, line: Line) -> None:
        if self._orders_on[line] or line in self._stakes:
            return
        for counter in (self._orders_on, self._flight_on):
            del counter[line]
        for scope in line.scopes:
            self._open_lines[scope, line.owner, line.token_id] -= 1
            if not self._open_lines[scope, line.owner, line.token_id]:
                del self._open_lines[scope, line.owner, line.token_id]
                self._positions[scope] -= 1
        del self._lines[line.token_id][line]
        if not self._lines[line.token_id]:
            del self._lines[line.token_id]
            self._unmapped.pop(line.token_id, None)

    def _fly(self, line: Line, amount: Usdc) -> None:
        """Count what an open buy may pay, in every scope."""
        self._flight_on[line] += amount
        for scope in line.scopes:
            self._in_flight[scope] += amount
        self._line_sums[line] += amount
        self._owner_sums[line.owner, line.token_id] += amount

    def _hold_more(self, owner: Scope, token_id: str, amount: Usdc) -> None:
        """Count money as held in a position, whoever was followed into it."""
        self._costs[owner, token_id] += amount
        if not self._costs[owner, token_id]:
            del self._costs[owner, token_id]
        self._owner_sums[owner, token_id] += amount

    def _sum_up(self) -> None:
        """Bring the sums up to what has moved; a token's group is its present one, so call it before that changes."""
        for line, amount in self._line_sums.items():
            self._sum(line.scopes, ((Subject.LEADER, line.leader),), amount)
            self._sum(line.scopes[2:], (_ALL, *self._groups_of(line.token_id)), amount)
        for (owner, token_id), amount in self._owner_sums.items():
            self._sum((EVERYTHING, owner), (_ALL, *self._groups_of(token_id)), amount)
        self._line_sums.clear()
        self._owner_sums.clear()

    def _groups_of(self, token_id: str) -> tuple[tuple[Subject, str], ...]:
        group = self._groups.get(token_id)
        if group is None:
            return (_UNMAPPED,)
        return (Subject.MARKET, group.market), (Subject.EVENT, group.event), (Subject.CATEGORY, group.category)

    def _sum(self, scopes: Iterable[Scope], subjects: Iterable[tuple[Subject, str]], amount: Usdc) -> None:
        for scope in scopes:
            for subject, name in subjects:
                key = (scope, subject, name)
                after = self._at_stake.get(key, 0) + amount
                if after:
                    self._at_stake[key] = after
                else:
                    self._at_stake.pop(key, None)

    def _forget_entry(self, attempt_id: UUID, line: Line) -> None:
        del self._entries[attempt_id]
        self._entry_counts.subtract(line.scopes)
