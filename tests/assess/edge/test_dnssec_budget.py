"""What strangers' signatures may cost us: when the budget is spent, nothing more is computed and nothing is claimed."""

from __future__ import annotations

import pytest

from assess.edge.dns_world import world
from assess.looped import looped
from gambeson.assess.core.dns import DnsState, Question, Security
from gambeson.assess.edge import dnssec_chain
from gambeson.assess.edge.dnssec import Budget, TooCostlyError, TrustAnchors
from gambeson.assess.edge.resolver import Resolver
from peers.knot import Knot


def test_a_budget_ends() -> None:
    budget = Budget(2)
    budget.spend()
    budget.spend()
    with pytest.raises(TooCostlyError):
        budget.spend()


@pytest.mark.peer("knot")
@looped
async def test_beyond_it_answers_stand_unchecked(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Knot(tmp_path_factory.mktemp("knot"), world()) as knot:
        anchors = TrustAnchors.read(knot.anchors)
        monkeypatch.setattr(dnssec_chain, "Budget", lambda: Budget(9))
        resolver = Resolver([knot.server], anchors=anchors, private=True)
        try:
            first = await resolver.ask(Question("good.test", "MX"))
            assert first.security is Security.SECURE
            later = [await resolver.ask(Question("rsa.test", kind)) for kind in ("MX", "TXT", "SOA")]
        finally:
            await resolver.close()
    assert {answer.state for answer in later} == {DnsState.RECORDS}
    assert later[-1].security is Security.UNCHECKED
    assert "cost" in later[-1].unchecked
