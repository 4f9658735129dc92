"""The playground's letterbox: whom it lets in, and what it takes of them."""

from __future__ import annotations

import asyncio
import os
import secrets
import smtplib
from datetime import UTC, datetime

import pytest

from gambeson.guard.core.notice import Notice, compose
from gambeson.guard.edge.notice_delivery import Fate, NoticePlan, deliver
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.playground import notices
from gambeson.playground.serve import open_mailboxes, peer_is

BRUNO = "bruno@playground.example"


def conversation(folder, uids, talk):
    """``talk(plan)`` in a thread beside the letterbox; gives its result and Bruno's mail."""

    async def main():
        instance = secrets.token_hex(8)
        boxes = open_mailboxes(folder / "mail", datetime.now(UTC))
        before = len(boxes.inbox(BRUNO))
        server = await notices.serve(notices.listening_socket(instance), boxes, peer_is, uids)
        here = Endpoint(DoorKind.SUBMISSION, unix=notices.socket_name(instance), tls=UpstreamTls.NONE)
        result = await asyncio.to_thread(talk, NoticePlan(endpoint=here, lmtp=True))
        server.close()
        inbox = boxes.inbox(BRUNO)
        mail = [inbox.get_bytes(k) for k in inbox.keys()]  # noqa: SIM118 - a Maildir
        arrived = [each for each in mail if each.startswith(b"Return-Path:")]
        assert len(mail) == before + len(arrived)
        return result, arrived

    return asyncio.run(main())


def notice(to=BRUNO):
    return compose(Notice("n1", "d1", "Phone", to, to, False, "imap", "192.0.2.1", "", 1.8e9), "", "Sample")


def test_a_notice_is_delivered_to_the_octet_and_without_a_sender(tmp_path):
    outcome, arrived = conversation(tmp_path, [os.getuid()], lambda plan: deliver(plan, BRUNO, notice()))
    assert outcome.fate is Fate.SENT
    assert arrived == [b"Return-Path: <>\r\n" + notice().as_bytes()]


def test_another_user_is_cut_off(tmp_path):
    outcome, arrived = conversation(tmp_path, [os.getuid() + 1], lambda plan: deliver(plan, BRUNO, notice()))
    assert (outcome.fate, arrived) == (Fate.LATER, [])


@pytest.mark.parametrize("to", ["somebody@elsewhere.example", "nobody@playground.example"])
def test_nothing_leaves_it(tmp_path, to):
    outcome, arrived = conversation(tmp_path, [os.getuid()], lambda plan: deliver(plan, to, notice(to)))
    assert (outcome.fate, arrived) == (Fate.REFUSED, [])
    assert outcome.text.startswith("550 ")


def test_mail_with_a_sender_is_no_notice(tmp_path):
    def talk(plan):
        from gambeson.guard.edge.notice_delivery import _connect

        with _connect(plan) as client, pytest.raises(smtplib.SMTPSenderRefused, match="only notices"):
            client.sendmail("boss@playground.example", [BRUNO], b"Subject: hi\r\n\r\n")

    _, arrived = conversation(tmp_path, [os.getuid()], talk)
    assert arrived == []
