"""Findings: one for each claim (rule and asset), opened once, seen again, closed by measuring.

Seeing an open finding again only moves ``last_seen`` and the evidence; what changes its life
(opened, opened again, closed, waived) is an act and goes to the audit log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import sqlalchemy as sa

from gambeson.model.finding import Confidence, Evidence, Finding, FindingState, Severity

from . import plain, schema
from .errors import BadValue, Conflict, NotFound
from .scope import Scope, Scoped, Where
from .staff_rows import staff_row

LIVE = (FindingState.OPEN, FindingState.ACKNOWLEDGED)
MAX_EVIDENCE = 200
MAX_QUERY = 200
GROUPS = ("rule", "asset_kind", "asset_name", "severity", "assignee")


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Which findings: in one of ``states``, at least so severe, and of what is given. ``text`` is looked for in title,
    rule and asset's name, ``assignee`` "" is nobody. With ``now`` a waiver that is over then counts as open, as it is
    even before it is measured again."""

    states: tuple[FindingState, ...] = LIVE
    at_least: Severity = Severity.INFO
    asset_kind: str | None = None
    asset_name: str | None = None
    rule: str | None = None
    assignee: str | None = None
    text: str = ""
    now: float = 0.0
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """``count`` findings that have ``value`` in common, the worst of them ``worst``, the newest seen at ``last_seen``;
    ``title`` is that of one of them."""

    value: str
    count: int
    worst: Severity
    last_seen: float
    title: str


class Findings(Scoped):
    """The findings of one organisation."""

    def open(self, finding: Finding, *, by: str, at: float) -> Finding:
        """Opens a finding, or sees it again where its rule and asset are known.

        A closed one is opened again with its first ``first_seen``; a waiver holds until its end. The
        finding's id, organisation, state and times are set here. Raises BadValue.
        """
        values = _values(finding)
        table = schema.findings
        same = (
            table.c.rule == finding.rule,
            table.c.asset_kind == finding.asset_kind,
            table.c.asset_name == finding.asset_name,
        )
        with self._changing(by, at) as change:
            row = change.one(table, *same)
            if row is None:
                new = plain.text(finding.id, "id", 64) or plain.new_id("find")
                life: dict[str, Any] = {"state": str(FindingState.OPEN), "first_seen": at, "last_seen": at}
                change.insert(table, id=new, **values, **life, closing_reason="", waived_until=0.0)
                change.audit("finding.opened", new, rule=finding.rule, asset=finding.asset_name)
                return _get(change, new)
            state = FindingState(row.state)
            waived = state is FindingState.WAIVED and row.waived_until > at
            change.update(table, table.c.id == row.id, **values, last_seen=at)
            if state in LIVE or waived:
                change.unaudited()
            else:
                change.update(
                    table,
                    table.c.id == row.id,
                    state=str(FindingState.OPEN),
                    closing_reason="",
                    waived_until=0.0,
                )
                change.audit("finding.opened-again", row.id, was=str(state), rule=finding.rule)
            return _get(change, row.id)

    def get(self, id: str) -> Finding:
        """The finding. Raises NotFound."""
        with self._reading() as scope:
            return _get(scope, id)

    def list(
        self,
        *,
        states: Sequence[FindingState] = LIVE,
        at_least: Severity = Severity.INFO,
        asset_kind: str | None = None,
        asset_name: str | None = None,
        rule: str | None = None,
        assignee: str | None = None,
        limit: int = 1_000,
        offset: int = 0,
    ) -> Sequence[Finding]:
        """Findings in one of ``states``, the worst first, then the newest. ``assignee`` "": nobody's."""
        query = FindingQuery(tuple(states), at_least, asset_kind, asset_name, rule, assignee)
        return self.search(query, limit=limit, offset=offset)

    def search(self, query: FindingQuery, *, limit: int = 1_000, offset: int = 0) -> Sequence[Finding]:
        """Findings that fit, the worst first, then the newest. Raises BadValue."""
        table = schema.findings
        order = [table.c.severity.desc(), table.c.last_seen.desc(), table.c.id]
        with self._reading() as scope:
            rows = scope.rows(table, *_where(query), order=order, limit=limit, offset=offset)
            return [finding_of(row) for row in rows]

    def count(self, query: FindingQuery) -> int:
        """How many fit. Raises BadValue."""
        table = schema.findings
        with self._reading() as scope:
            mine = table.c.organisation == scope.organisation
            asked = sa.select(sa.func.count()).select_from(table).where(mine, *_where(query))
            return int(scope.conn.execute(asked).scalar_one())

    def groups(
        self, by: str, query: FindingQuery, *, limit: int = 1_000, offset: int = 0
    ) -> tuple[Sequence[FindingGroup], int]:
        """Those that fit, grouped by one of :data:`GROUPS`, the worst group first; and how many groups there are.
        Raises BadValue."""
        if by not in GROUPS:
            raise BadValue(f"Findings are grouped by one of {', '.join(GROUPS)}.")
        table = schema.findings
        key, n = table.c[by], sa.func.count().label("n")
        worst, last = sa.func.max(table.c.severity), sa.func.max(table.c.last_seen)
        with self._reading() as scope:
            where = (table.c.organisation == scope.organisation, *_where(query))
            whole = sa.select(sa.func.count(key.distinct())).where(*where)
            asked = sa.select(key, n, worst, last, sa.func.min(table.c.title)).where(*where).group_by(key)
            rows = scope.conn.execute(
                asked.order_by(worst.desc(), n.desc(), key).limit(limit).offset(offset)
            ).all()
            total = int(scope.conn.execute(whole).scalar_one())
        found = [FindingGroup(str(row[0]), int(row[1]), Severity(row[2]), row[3], row[4]) for row in rows]
        return found, total

    def counts(self) -> dict[Severity, int]:
        """How many are open (acknowledged ones are), by severity."""
        table = schema.findings
        with self._reading() as scope:
            query = (
                sa.select(table.c.severity, sa.func.count())
                .where(table.c.organisation == scope.organisation, table.c.state.in_([str(s) for s in LIVE]))
                .group_by(table.c.severity)
            )
            return {Severity(row[0]): int(row[1]) for row in scope.conn.execute(query)}

    def assign(self, id: str, staff: str, *, by: str, at: float) -> Finding:
        """Gives it to a member of staff (the id; empty: to nobody). Raises NotFound, Conflict (disabled)."""
        table = schema.findings
        with self._changing(by, at) as change:
            before = _get(change, id)
            if staff:
                staff_row(change, staff, enabled=True)
            change.update(table, table.c.id == id, assignee=staff)
            change.audit("finding.assigned", id, staff=staff, was=before.assignee, rule=before.rule)
            return _get(change, id)

    def acknowledge(self, id: str, *, by: str, at: float) -> Finding:
        """Somebody has seen it and works on it; it stays open. Raises NotFound."""
        return self._move(id, FindingState.ACKNOWLEDGED, "", 0.0, by, at)

    def end_waiver(self, id: str, *, by: str, at: float) -> Finding:
        """It is accepted no longer: it is open. Raises NotFound, Conflict (it was not waived)."""
        table = schema.findings
        with self._changing(by, at) as change:
            before = _get(change, id)
            if before.state is not FindingState.WAIVED:
                raise Conflict(f"This finding is {before.state} and not waived: look at it again.")
            change.update(
                table, table.c.id == id, state=str(FindingState.OPEN), closing_reason="", waived_until=0.0
            )
            change.audit("finding.waiver-ended", id, until=before.waived_until, rule=before.rule)
            return _get(change, id)

    def close(self, id: str, state: FindingState, *, reason: str, by: str, at: float) -> Finding:
        """Closes as fixed or verified; ``reason`` says what was measured. Raises NotFound, BadValue."""
        if state not in (FindingState.FIXED, FindingState.VERIFIED):
            raise BadValue("A finding is closed as fixed or verified; anything else is a waiver.")
        plain.text(reason, "reason", empty=False)
        return self._move(id, state, reason, 0.0, by, at)

    def waive(self, id: str, *, until: float, reason: str, by: str, at: float) -> Finding:
        """Accepts it until a date, for a reason; ``by`` answers for it. Raises NotFound, BadValue."""
        plain.text(reason, "reason", empty=False)
        if plain.moment(until, "end of the waiver") <= at:
            raise BadValue("A waiver needs an end in the future.")
        return self._move(id, FindingState.WAIVED, reason, until, by, at)

    def _move(self, id: str, state: FindingState, reason: str, until: float, by: str, at: float) -> Finding:
        table = schema.findings
        with self._changing(by, at) as change:
            before = _get(change, id)
            change.update(
                table, table.c.id == id, state=str(state), closing_reason=reason, waived_until=until
            )
            change.audit(
                f"finding.{state}", id, was=str(before.state), reason=reason, until=until, rule=before.rule
            )
            return _get(change, id)


def _where(query: FindingQuery) -> list[Where]:
    """The conditions of a query. Raises BadValue."""
    table = schema.findings
    states = [str(s) for s in query.states if not (query.now and s is FindingState.WAIVED)]
    fits: list[Where] = [table.c.state.in_(states)]
    waived = table.c.state == str(FindingState.WAIVED)
    if query.now and FindingState.WAIVED in query.states:
        fits.append(sa.and_(waived, table.c.waived_until > query.now))
    if query.now and FindingState.OPEN in query.states:
        fits.append(sa.and_(waived, table.c.waived_until <= query.now))
    where: list[Where] = [sa.or_(*fits), table.c.severity >= int(query.at_least)]
    given = ("asset_kind", "asset_name", "rule", "assignee")
    where += [table.c[name] == value for name in given if (value := getattr(query, name)) is not None]
    if query.severity is not None:
        where.append(table.c.severity == int(query.severity))
    text = plain.text(query.text.strip(), "text that is looked for", MAX_QUERY)
    if text:
        columns = (table.c.title, table.c.asset_name, table.c.rule)
        where.append(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    return where


def finding_of(row: sa.Row[Any]) -> Finding:
    """The finding in a row."""
    return Finding(
        id=row.id,
        organisation=row.organisation,
        asset_kind=row.asset_kind,
        asset_name=row.asset_name,
        rule=row.rule,
        title=row.title,
        severity=Severity(row.severity),
        reason=row.reason,
        confidence=Confidence(row.confidence),
        state=FindingState(row.state),
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        evidence=tuple(Evidence(**e) for e in cast("list[dict[str, Any]]", plain.load(row.evidence))),
        remedy=plain.words(row.remedy),
        references=plain.words(row.references),
        closing=row.closing_reason,
        waived_until=row.waived_until,
        assignee=row.assignee,
    )


def _get(scope: Scope, id: str) -> Finding:
    row = scope.one(schema.findings, schema.findings.c.id == id)
    if row is None:
        raise NotFound(f"There is no finding {id[:80]}.")
    return finding_of(row)


def _values(finding: Finding) -> dict[str, Any]:
    if len(finding.evidence) > MAX_EVIDENCE:
        raise BadValue(f"A finding has at most {MAX_EVIDENCE} pieces of evidence.")
    return {
        "asset_kind": plain.text(finding.asset_kind, "kind of asset", 100, empty=False),
        "asset_name": plain.text(finding.asset_name, "asset's name", empty=False),
        "rule": plain.text(finding.rule, "rule's name", 200, empty=False),
        "title": plain.text(finding.title, "title", empty=False),
        "severity": int(finding.severity),
        "reason": plain.text(finding.reason, "reason", 8_000, lines=True),
        "confidence": str(finding.confidence),
        "evidence": plain.dump([asdict(e) for e in finding.evidence], 512 * 1024),
        "remedy": plain.dump(list(finding.remedy)),
        "references": plain.dump(list(finding.references)),
    }
