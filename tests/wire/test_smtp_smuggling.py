"""SMTP smuggling, sans-IO: whatever end of a message somebody believes in, one DATA is one message or none."""

import pytest
from smtp_peer import HEAD, Session, mail
from smuggling import CRUDE, HONEST


def test_there_are_variants_enough():
    assert len(CRUDE) >= 40
    assert len(HONEST) >= 15


@pytest.mark.parametrize("size", [1, 2, 3, 100000])
@pytest.mark.parametrize("variant", CRUDE)
def test_a_crude_end_by_data_is_refused_and_nothing_is_queued(variant, size):
    content = HEAD + b"\r\nhello" + variant + b"\r\n.\r\n"
    s = Session()
    s.send(mail() + b"DATA\r\n")
    for n in range(0, len(content), size):
        if not s.closed:
            s.send(content[n : n + size])
    assert b"\r\n550 5.6.11 " in s.said
    assert s.closed
    assert s.server.messages == []
    assert not any(b"victim" in c or b"ceo" in c for c in s.server.commands)


@pytest.mark.parametrize("variant", CRUDE)
def test_a_crude_end_inside_the_header_is_refused_before_the_mail_server_hears(variant):
    s = Session()
    assert s.codes(mail() + b"DATA\r\n", HEAD + b"X: y" + variant + b"\r\n.\r\n")[-1] == "550"
    assert s.closed
    assert b"DATA" not in s.server.commands


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("variant", CRUDE)
def test_a_crude_end_by_bdat_wherever_the_chunk_ends(variant, cut):
    head, content = HEAD + b"\r\nhello", variant
    s = Session()
    first, second = head + content[:cut], content[cut:]
    s.send(mail() + b"BDAT %d\r\n" % len(first) + first)
    if not s.closed:
        s.send(b"BDAT %d LAST\r\n" % len(second) + second)
    assert b"\r\n550 5.6.11 " in s.said
    assert s.closed
    assert s.server.messages == []


@pytest.mark.parametrize("size", [1, 2, 3, 100000])
@pytest.mark.parametrize("variant", HONEST)
def test_an_honest_content_is_one_message(variant, size):
    content = HEAD + b"\r\nhello" + variant + b"\r\n.\r\n"
    s = Session()
    s.send(mail() + b"DATA\r\n", *(content[n : n + size] for n in range(0, len(content), size)))
    assert len(s.server.messages) == 1
    assert s.server.messages[0][2].endswith(b"forged\r\n")
    assert not s.closed


@pytest.mark.parametrize("variant", HONEST)
def test_what_is_an_end_for_data_is_content_in_bdat(variant):
    content = HEAD + b"\r\nhello\r\n.\r\n" + variant + b"\r\n.\r\nQUIT\r\n"
    s = Session()
    assert s.codes(mail() + b"BDAT %d LAST\r\n" % len(content) + content) == ["250", "250", "250"]
    assert [m[2] for m in s.server.messages] == [content]


def test_the_true_end_is_an_end_and_the_next_command_is_checked():
    s = Session()
    content = (
        HEAD + b"\r\nhello\r\n.\r\nMAIL FROM:<ceo@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\n"
    )
    assert s.codes(mail() + b"DATA\r\n", content) == ["250", "250", "354", "250", "553", "503", "503"]
    assert len(s.server.messages) == 1


def test_a_bare_newline_behind_the_true_end_is_refused_as_a_command():
    s = Session()
    content = HEAD + b"\r\nhello\r\n.\r\n\nMAIL FROM:<ceo@example.org>\r\n"
    assert s.codes(mail() + b"DATA\r\n", content) == ["250", "250", "354", "250", "500"]
    assert s.closed
    assert len(s.server.messages) == 1
