"""The notice of a broken glass: to whom, how often, and what it says."""

from __future__ import annotations

import pytest

from gambeson.guard.core.notice_glass import CAUSE, GlassNotice, compose, due
from gambeson.model.event import Event

T = 1_790_000_000.0


def used(
    use: str = "u1", *, id: str = "console-glass-u1-0", organisation: str = "", kind: str = CAUSE
) -> Event:
    return Event(id, T, kind, organisation, source="198.51.100.4", data={"use": use} if use else {})


@pytest.mark.parametrize(
    ("event", "count"),
    [
        (used(), 2),
        (used(organisation="acme"), 0),  # the installation's own speaks for all
        (used(id="doors-1/5"), 0),  # a door does not say this
        (used(use=""), 0),
        (used(kind="console.break-glass.refused"), 0),
    ],
)
def test_what_makes_mail(event: Event, count: int) -> None:
    assert len(due([event], ["a@x.example", "b@x.example"])) == count


def test_one_for_each_use_and_recipient() -> None:
    events = [used(), used(), used("u2", id="console-glass-u2-0")]
    found = due(events, ["a@x.example", "a@x.example", "b@x.example"])
    assert len(found) == 4
    assert len({notice.id for notice in found}) == 4


def test_the_mail_says_what_to_do_and_holds_no_secret() -> None:
    message = compose(GlassNotice("n1", "u1", "a@x.example", "198.51.100.4", T), "")
    text = message.get_content()
    assert message["Subject"] == "A break-glass code was used"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "198.51.100.4" in text
    assert "end the session" in text
    assert "u1" not in text
    with pytest.raises(ValueError, match="no mail address"):
        compose(GlassNotice("n1", "u1", "nobody", "", T), "")
