"""What several door processes allow together is what the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gambeson.app.place import Place
from gambeson.app.plan import Planner
from gambeson.app.web_plan import door_share, portal_share
from gambeson.guard.core.directory_budget import MARGIN, SMALLEST_THRESHOLD, DirectoryBudget
from gambeson.guard.edge.plan import DoorPlan
from gambeson.settings import SettingsError
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


def test_how_requests_are_logged_reaches_doors_and_worker(tmp_path: Path) -> None:
    text = "[doors]\nrequest_log = 'all'\nrequest_log_days = 7\nrequest_log_max = 5000\n"
    for settings, expected in (("", ("refused", 90, 1_000_000)), (text, ("all", 7, 5000))):
        plan = Planner(Place(tmp_path), loads(settings, "g.toml", tmp_path), ()).plan()
        door, worker = DoorPlan.from_plain(plan.parameters("doors")), plan.parameters("worker")
        assert (door.web.request_log, worker["request_log_days"], worker["request_log_max"]) == expected


LDAP = "{portal}[ldap]\nurl = 'ldaps://x'\nbase = 'dc=x'\nlockout_threshold = {threshold}\n"


@pytest.mark.parametrize("portal", [False, True])
def test_every_threshold_that_the_settings_take_leaves_doors_and_portal_a_question(
    tmp_path: Path, portal: bool
) -> None:
    refused = []
    for threshold in range(SMALLEST_THRESHOLD, 60):
        text = LDAP.format(portal="[portal]\nhost = 'login.x'\n" if portal else "", threshold=threshold)
        shares = [door_share(threshold, portal), portal_share(threshold, portal)]
        try:
            loads(text, "g.toml", tmp_path)
        except SettingsError:
            refused.append(threshold)
            assert min(shares) < SMALLEST_THRESHOLD  # nothing that would do is refused
            continue
        for share in shares:
            assert DirectoryBudget(share, 60.0).ask("a1", True, 0.0) is not None
        if portal:  # together they never use up more than one alone might
            assert sum(share - MARGIN for share in shares) == threshold - MARGIN
    assert refused == ([3] if portal else [])
