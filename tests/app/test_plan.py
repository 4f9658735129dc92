"""What several door processes allow together is what the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gambeson.app.place import Place
from gambeson.app.plan import Planner
from gambeson.guard.edge.plan import DoorPlan
from gambeson.settings.load import loads

SETTINGS = """[doors]
processes = {processes}
max_sessions_per_source = 200
[submission]
hourly_limit = 300
"""


@pytest.mark.parametrize(
    ("processes", "sessions", "hourly"), [(1, 200, 300), (2, 100, 150), (3, 67, 100), (64, 4, 5)]
)
def test_limits_are_shared_out_among_the_processes_rounded_up(
    tmp_path: Path, processes: int, sessions: int, hourly: int
) -> None:
    config = loads(SETTINGS.format(processes=processes), "g.toml", tmp_path)
    plan = Planner(Place(tmp_path), config, ()).plan()
    limits = DoorPlan.from_plain(plan.parameters("doors")).limits
    assert (limits.sessions_per_source, limits.hourly_messages) == (sessions, hourly)
    assert limits.sessions == config.doors.max_sessions  # of each, as the settings say
