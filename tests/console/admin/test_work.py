"""The page of long work: who sees it, how it asks for itself again, cancelling, the file."""

from __future__ import annotations

import threading

import pytest

from console.lab import Lab
from gambeson.console.works import Progress, Result, Work
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store.tenant import OrganisationStore


class Slow:
    """Work that stops half way until it may go on."""

    def __init__(self, lab: Lab, org: OrganisationStore) -> None:
        self.begun, self.may = threading.Event(), threading.Event()
        self.work: Work = lab.world.works.start(
            org.id, by="Ann (console)", verb=Verb.PEOPLE, kind="invitations", total=4, function=self._do
        )
        assert self.begun.wait(10)
        self.path = f"/o/{org.id}/progress/{self.work.id}"

    def _do(self, progress: Progress) -> Result:
        progress.step(2, "<u2>@acme.example")
        self.begun.set()
        assert self.may.wait(10)
        progress.step(3)
        return Result("All there.", b"%PDF-x", "application/pdf", 'a"\r\nb.pdf')


@pytest.fixture
def org(lab: Lab) -> OrganisationStore:
    return lab.organisation("Acme", "acme.example")


def test_it_is_seen_going_on_with_and_without_scripts_and_then_its_file(
    lab: Lab, org: OrganisationStore
) -> None:
    browser, slow = lab.browser(lab.staff("Ann", Grant(EVERY, Role.OWNER))), Slow(lab, org)
    page = browser.get(slow.path).text
    assert "2 of 4 done" in page
    assert "&lt;u2&gt;@acme.example" in page
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page
    assert 'hx-trigger="every 2s"' in page
    assert browser.get(f"{slow.path}/file").status == 404
    slow.may.set()
    lab.world.works.join()
    page = browser.get(slow.path).text
    assert "All there." in page
    assert "http-equiv" not in page
    assert "hx-trigger" not in page
    file = browser.get(f"{slow.path}/file")
    assert (file.status, file.body, file.header("content-type")) == (200, b"%PDF-x", "application/pdf")
    assert file.header("content-disposition") == 'attachment; filename="ab.pdf"'
    assert file.header("cache-control") == "no-store"
    lab.later(3600)
    later = lab.browser(lab.staff("Bea", Grant(EVERY, Role.OWNER)))
    assert later.get(slow.path).status == 404


def test_it_is_cancelled(lab: Lab, org: OrganisationStore) -> None:
    browser, slow = lab.browser(lab.staff("Ann", Grant(EVERY, Role.OWNER))), Slow(lab, org)
    assert browser.post(f"{slow.path}/cancel").location == slow.path
    slow.may.set()
    lab.world.works.join()
    assert "Cancelled" in browser.get(slow.path).text
    assert browser.get(f"{slow.path}/file").status == 404


def test_others_do_not_see_it(lab: Lab, org: OrganisationStore) -> None:
    """Neither who may only read here, nor who is at home in another organisation, by either's path."""
    other = lab.organisation("Other", "other.example")
    slow = Slow(lab, org)
    auditor = lab.browser(lab.staff("Auditor", Grant(org.id, Role.AUDITOR)))
    stranger = lab.browser(lab.staff("Stranger", Grant(other.id, Role.OWNER)))
    elsewhere = slow.path.replace(org.id, other.id)
    for browser, path in ((auditor, slow.path), (stranger, slow.path), (stranger, elsewhere)):
        assert browser.get(path).status == 404
        assert browser.get(f"{path}/file").status == 404
        assert browser.post(f"{path}/cancel").status == 404
    slow.may.set()
    lab.world.works.join()
    for browser, path in ((auditor, slow.path), (stranger, slow.path), (stranger, elsewhere)):
        assert browser.get(f"{path}/file").status == 404
    owner = lab.browser(lab.staff("Ann", Grant(org.id, Role.TECHNICIAN)))
    assert owner.get(f"{slow.path}/file").status == 200  # and nobody had cancelled it


def test_one_that_never_was(lab: Lab, org: OrganisationStore) -> None:
    browser = lab.browser(lab.staff("Ann", Grant(EVERY, Role.OWNER)))
    assert browser.get(f"/o/{org.id}/progress/work-0").status == 404
    assert lab.browser().get(f"/o/{org.id}/progress/work-0").location.startswith("/sign-in")
