"""neomutt in a terminal: a person reads a mail, answers it and sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.sites import Site
from peers.clients import Neomutt, found, mailbox, message

pytestmark = pytest.mark.peer("neomutt")


def test_neomutt_reads_and_sends(site: Site, tmp_path: Path) -> None:
    login, to = site.login(), site.login(1)
    content, subject = message(login.name, "sender@example.net", "Grüße an alle 🛡")
    with mailbox(login) as client:
        client.append("INBOX", None, None, content.encode())
    with Neomutt(login, tmp_path / "mutt") as mutt:
        mutt.see("q:Quit")
        mutt.type(f"l~s {subject}")
        mutt.keys("Enter")
        mutt.see(subject)
        mutt.keys("Enter")
        mutt.see("Grüße an alle")
        mutt.type("q")
        mutt.see(subject)
        _, answer = message(to.name, login.name)
        mutt.type("m")
        mutt.see("To:")
        mutt.type(to.name)
        mutt.keys("Enter")
        mutt.see("Subject:")
        mutt.type(answer)
        mutt.keys("Enter")
        mutt.see("Security|-- Attachments")
        mutt.type("y")
        mutt.see("q:Quit")  # the list again: "Mail sent" below it soon gives way to other news
        mutt.type("q")
    assert b"Written in neomutt." in found(to, answer)


def test_neomutt_is_refused_with_a_password_and_shows_why(site: Site, tmp_path: Path) -> None:
    with Neomutt(site.login().with_secret("password"), tmp_path / "mutt") as mutt:
        mutt.see("password alone")
