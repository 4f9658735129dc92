"""The relay after login, as conversations: client on one side, a mail server in memory on the other."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smtp_peer import FULL, HEAD, ME, Session, Upstream, mail

from gambeson.wire.dialogue import AskQuota, Close, MessageDone, ToClient, ToServer
from gambeson.wire.smtp_relay import SenderPolicy, SmtpRelay


def test_a_message_by_data_goes_through_unchanged():
    s = Session()
    assert s.codes(mail() + b"DATA\r\n") == ["250", "250", "354"]
    assert s.codes(HEAD + b"\r\n..dot\r\nend\r\n.\r\n") == ["250"]
    assert s.server.messages == [
        (b"MAIL FROM:<alice@example.org>", [b"RCPT TO:<bob@example.net>"], HEAD + b"\r\n.dot\r\nend\r\n")
    ]
    assert s.done == [MessageDone(ME, ("bob@example.net",), len(HEAD) + 14, True, "2.0.0 queued as 1")]


def test_a_message_by_bdat_becomes_data_with_dots_stuffed():
    s = Session()
    body = b"\r\n.\r\n.a\r\n..\r\nlast line without end"
    whole = HEAD + body
    assert s.codes(mail()) == ["250", "250"]
    cuts = [0, 3, len(HEAD) + 1, len(HEAD) + 3, len(HEAD) + 4, len(whole)]
    for begin, end in itertools.pairwise(cuts):
        last = b" LAST" if end == len(whole) else b""
        assert s.codes(b"BDAT %d%b\r\n" % (end - begin, last) + whole[begin:end]) == ["250"]
    assert [m[2] for m in s.server.messages] == [whole + b"\r\n"]
    assert s.asked == [AskQuota(ME, 1)]
    assert b"BDAT" not in b"".join(s.server.commands)


def test_an_empty_last_chunk_ends_the_message():
    s = Session()
    s.send(mail() + b"BDAT %d\r\n" % (len(HEAD) + 4) + HEAD + b"\r\nx\r")
    assert s.codes(b"BDAT 1\r\n\n", b"BDAT 0 LAST\r\n") == ["250", "250"]
    assert s.server.messages[0][2] == HEAD + b"\r\nx\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_the_same_in_any_chunks(size):
    talk = b"EHLO me\r\n" + mail() + b"DATA\r\n" + HEAD + b"\r\n..\r\n...\r\nx\r\n.\r\n" + mail()
    talk += b"BDAT %d LAST\r\n" % (len(HEAD) + 6) + HEAD + b"\r\n.\r\n." + b"NOOP\r\nQUIT\r\n"
    whole, parts = Session(), Session()
    whole.send(talk)
    parts.send(*(talk[n : n + size] for n in range(0, len(talk), size)))
    assert whole.said == parts.said
    assert whole.server.messages == parts.server.messages
    assert len(parts.server.messages) == 2
    assert parts.closed


def test_a_thousand_pipelined_commands_get_a_thousand_answers_in_order():
    s = Session()
    codes = s.codes(b"NOOP\r\nVRFY x\r\n" * 500)
    assert codes == ["250", "252"] * 500


def test_pipelined_envelope_waits_for_each_answer():
    s = Session(answers={b"RCPT TO:<no@example.net>": b"550 no such user\r\n"})
    talk = mail(ME, "no@example.net", "bob@example.net") + b"DATA\r\n"
    assert s.send(talk).split(b"\r\n")[1] == b"550 5.0.0 no such user"  # RFC 2034: an enhanced code is added
    s.send(HEAD + b"\r\n.\r\n")
    assert s.server.messages[0][1] == [b"RCPT TO:<bob@example.net>"]
    assert s.asked == [AskQuota(ME, 1)]


WRONG = [
    (b"RCPT TO:<b@example.net>\r\n", "503"),
    (b"DATA\r\n", "503"),
    (b"MAIL FROM:<alice@example.org> FOO=1\r\n", "555"),
    (b"MAIL FROM:<alice@example.org> BODY=BINARYMIME\r\n", "555"),
    (b"MAIL FROM:<alice@example.org> SIZE=1000001\r\n", "552"),
    (b"MAIL FROM:<alice@example.org> SIZE=x\r\n", "501"),
    (b"MAIL FROM:<alice@example.org> SIZE=1 SIZE=1\r\n", "501"),
    (b"MAIL FROM:<alice@example.org> SMTPUTF8=1\r\n", "501"),
    (b"MAIL FROM:alice@example.org\r\n", "501"),
    (b"MAIL FROM:<alice@example.org>x\r\n", "501"),
    (b"MAIL FROM:<alice@example.org\r\n", "501"),
    (b"MAIL FROM:<b\xc3\xbcb@example.org>\r\n", "553"),
    (b"MAIL FROM:<\xff@example.org>\r\n", "501"),
    (b"MAIL FROM:<ceo@example.org>\r\n", "553"),
    (b"AUTH PLAIN\r\n", "503"),
    (b"STARTTLS\r\n", "503"),
    (b"EXPN x\r\n", "502"),
    (b"XCLIENT ADDR=1.2.3.4\r\n", "502"),
    (b"EHLO\r\n", "501"),
    (b"\r\n", "500"),
    (b"NO\0OP\r\n", "500"),
    (b"NOOP " + b"x" * 5000 + b"\r\n", "500"),
    (b"VRFY bob\r\n", "252"),
    (b"HELP\r\n", "214"),
]


@pytest.mark.parametrize(("line", "code"), WRONG)
def test_commands_that_are_refused_leave_the_session_in_order(line, code):
    s = Session()
    assert s.codes(line + b"RSET\r\nNOOP\r\n") == [code, "250", "250"]
    assert s.server.commands == [b"NOOP"]
    assert not s.closed


@pytest.mark.parametrize(
    "line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NOOP x\nMAIL FROM:<a@b>\r\n", b"\n", b"NOOP\r\r\n"]
)
def test_a_bare_newline_in_a_command_ends_the_session(line):
    s = Session()
    assert s.codes(line) == ["500"]
    assert s.closed
    assert s.server.commands == []


def test_the_session_ends_after_too_many_errors():
    s = Session()
    codes = s.codes(b"BOGUS\r\n" * 100)
    assert codes[-1] == "421"
    assert len(codes) == 52
    assert s.closed


def test_parameters_are_passed_on_anew():
    s = Session()
    s.send(
        b"mail from: <@a.example,@b.example:alice@example.org>  size=10 BODY=8bitmime RET=HDRS ENVID=a+2Bb AUTH=<>\r\n"
    )
    s.send(b"RCPT TO:<bob@example.net> NOTIFY=success,FAILURE ORCPT=rfc822;bob+40x\r\n")
    s.send(b"RCPT TO:<Postmaster>\r\n")
    assert s.server.commands == [
        b"MAIL FROM:<alice@example.org> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=a+2Bb",
        b"RCPT TO:<bob@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob+40x",
        b"RCPT TO:<Postmaster>",
    ]


def test_a_mail_server_with_nothing_is_offered_for_what_it_is():
    s = Session(extensions=())
    assert s.send(b"EHLO me\r\n") == (
        b"250-door.example.org\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE\r\n"
    )
    for parameter, code in [
        ("BODY=8BITMIME", "554"),
        ("SMTPUTF8", "550"),
        ("RET=FULL", "555"),
        ("ENVID=x", "555"),
    ]:
        assert s.codes(f"MAIL FROM:<{ME}> {parameter}\r\n".encode()) == [code]
    assert s.codes(f"MAIL FROM:<{ME}> SIZE=100 BODY=7BIT\r\n".encode()) == ["250"]
    assert s.server.commands == [b"MAIL FROM:<alice@example.org>"]
    assert s.codes(b"RCPT TO:<b@example.net> NOTIFY=NEVER\r\n") == ["555"]


def test_addresses_beyond_ascii():
    s = Session(addresses=("bücher@xn--bcher-kva.example",))
    m = "MAIL FROM:<Bücher@BÜCHER.example> SMTPUTF8\r\nRCPT TO:<ü@example.net>\r\nDATA\r\n".encode()
    assert s.codes(m) == ["250", "250", "354"]
    assert s.codes("From: Ü <bücher@bücher.example>\r\n\r\n.\r\n".encode()) == ["250"]
    s = Session()
    assert s.codes(mail(ME, "ü@example.net")) == ["250", "553"]


FROM = [
    (b"From: alice@example.org\r\n", True),
    (b"FROM : Alice <ALICE@Example.ORG>\r\n", True),
    (b"From: =?utf-8?q?A=C3=A9?= (c (d)) <alice@example.org>\r\n", True),
    (b'From: "ceo@example.org" <alice@example.org>\r\n', True),
    (b'From: "alice"@example.org\r\n', True),
    (b"From:\r\n Alice\r\n\t<alice@example.org>\r\n", True),
    (b"From: Team: alice@example.org, A <alice@example.org>;\r\nSender: alice@example.org\r\n", True),
    (b"From: <@route.example:alice@example.org>\r\n", True),
    (b"From: A. Lice <alice@example.org>\r\n", True),
    (b"Subject: only\r\n", False),
    (b"", False),
    (b"From: ceo@example.org\r\n", False),
    (b"From: alice@example.org\r\nFrom: ceo@example.org\r\n", False),
    (b"From: alice@example.org\r\nFrom: alice@example.org\r\n", False),
    (b"From: alice@example.org\r\nfrom : ceo@example.org\r\n", False),
    (b"From: alice@example.org, ceo@example.org\r\nSender: alice@example.org\r\n", False),
    (b"From: alice@example.org, alice@example.org\r\n", False),
    (b"From: Team: alice@example.org, ceo@example.org;\r\n", False),
    (b"From: undisclosed:;\r\n", False),
    (b"From: a:b:c:alice@example.org;;;\r\n", False),
    (b"From: alice@example.org <ceo@example.org>\r\n", False),
    (b"From: <alice@example.org> <ceo@example.org>\r\n", False),
    (b"From: <alice@example.org>ceo@example.org\r\n", False),
    (b"From: ceo@example.org (<alice@example.org>)\r\n", False),
    (b"From: (<alice@example.org>\r\n", False),
    (b'From: "alice@example.org\r\n', False),
    (b"From: ceo@example.org\\, alice@example.org\r\n", False),
    (b"From: =?utf-8?q?ceo=40example.org=00?= <alice@example.org>\r\n", False),
    (b"From: =?utf-8?b?Y2VvQGV4YW1wbGUub3JnCgA=?= <alice@example.org>\r\n", False),
    (b"From: alice@example.org\0\r\n", False),
    (b"From: alice@example.org\r\nSender: ceo@example.org\r\n", False),
    (b"From: alice@example.org\r\nResent-From: ceo@example.org\r\n", False),
    (b"From: ceo@example.org\r\nResent-From: alice@example.org\r\n", False),
    (b"..From: ceo@example.org\r\nFrom: alice@example.org\r\n", True),  # a field named .From
    (b".From: ceo@example.org\r\nFrom: alice@example.org\r\n", False),  # a receiver takes the dot off
    (b"From: alice@example.org\r\n.From: ceo@example.org\r\n", False),
    (b" From: ceo@example.org\r\nFrom: alice@example.org\r\n", False),
    (b"\r\nFrom: alice@example.org\r\n", False),
    (b"garbage\r\nFrom: alice@example.org\r\n", False),
    (b"From: alice@example.org\r\n" + b"X-Y: z\r\n" * 40000, False),
    (b"From: \xff <alice@example.org>\r\n", False),
    (b"From: alice @ example . org\r\n", True),
    (b"From: al ice@example.org\r\n", False),
    (b"From: " + b"a:" * 5000 + b"\r\n", False),
    (b"From: " + b"(" * 9000 + b"\r\n", False),
]


@pytest.mark.parametrize("by", ["data", "bdat"])
@pytest.mark.parametrize(("header", "good"), FROM)
def test_the_author_must_be_the_account(header, good, by):
    s = Session(max_message_bytes=900000)
    s.send(mail())
    if by == "data":
        codes = s.codes(b"DATA\r\n", header + b"\r\nbody\r\n.\r\n")[1:]
    else:
        content = header.replace(b"\r\n.", b"\r\n").removeprefix(b".") + b"\r\nbody\r\n"
        codes = s.codes(b"BDAT %d LAST\r\n" % len(content) + content)
    assert codes[0][0] == ("2" if good else "5")
    assert len(s.server.messages) == good
    assert (b"DATA" in s.server.commands) is good  # the mail server heard nothing of a refused one
    assert s.done[0].accepted is good
    assert s.codes(mail()) == ["250", "250"]  # and the session goes on


def test_a_refused_message_with_bare_newlines_behind_its_header_ends_the_session():
    s = Session()
    assert (
        s.codes(mail() + b"DATA\r\n", b"From: ceo@example.org\r\n\r\n", b"a\nb", b"c\r\n.\r\n")[-1] == "550"
    )
    assert s.closed
    assert b"DATA" not in s.server.commands


def test_an_answer_that_was_there_before_the_command_is_no_answer_to_it():
    r = SmtpRelay(hostname="d", server_extensions=FULL, senders=SenderPolicy(frozenset({ME})))
    r.from_client(mail())
    out = r.from_server(b"250 ok\r\n250 ok\r\n")
    assert out[0] == ToClient(b"250 2.0.0 ok\r\n")
    assert out[-1] == Close("unasked answer")
    r = SmtpRelay(hostname="d", server_extensions=FULL, senders=SenderPolicy(frozenset({ME})))
    r.from_client(mail())
    out = r.from_server(b"250 ok\r\n421 4.3.2 bye\r\n")
    assert out[1:] == [ToClient(b"421 4.3.2 bye\r\n"), Close("the mail server closes")]


def test_the_checks_can_be_less():
    forged = b"From: ceo@example.org\r\n\r\n.\r\n"
    s = Session("envelope")
    assert s.codes(mail() + b"DATA\r\n", forged) == ["250", "250", "354", "250"]
    assert s.codes(mail("ceo@example.org")) == ["553", "503"]
    # The null sender is no way around.
    assert s.codes(mail("") + b"DATA\r\n", forged) == ["250", "250", "354", "550"]
    assert s.codes(mail("") + b"DATA\r\n", HEAD + b"\r\n.\r\n") == ["250", "250", "354", "250"]
    s = Session("off")
    assert s.codes(mail("ceo@example.org") + b"DATA\r\n", forged) == ["250", "250", "354", "250"]
    with pytest.raises(ValueError, match="sender check"):
        SenderPolicy(frozenset(), "some")


def test_quota_refused_is_a_clear_4xx_and_the_session_goes_on():
    s = Session(quota="200 messages an hour are sent; the next one can go at 14:05")
    assert b"450 4.7.1 200 messages an hour are sent" in s.send(mail() + b"DATA\r\nNOOP\r\n")
    assert s.codes(mail() + b"BDAT 5 LAST\r\nhello" + b"NOOP\r\n") == ["250", "250", "450", "250"]
    assert s.codes(mail() + b"BDAT 5\r\nhello" + b"BDAT 2 LAST\r\nxxMAIL FROM:<alice@example.org>\r\n") == [
        "250",
        "250",
        "450",
        "503",
        "250",
    ]
    assert s.server.messages == []
    assert s.done == []


def test_while_the_quota_is_asked_nothing_is_taken():
    r = SmtpRelay(hostname="d", server_extensions=FULL, senders=SenderPolicy(frozenset({ME})))
    r.from_client(mail() + b"DATA\r\n")
    r.from_server(b"250 ok\r\n")
    assert r.from_server(b"250 ok\r\n")[-1] == AskQuota(ME, 1)
    assert r.from_client(b"x" * 70000) == []
    assert r.paused
    assert r.quota_granted()[0].data.startswith(b"354")
    # That was no header: it is held up to the header's limit, and waits no more.
    assert not r.paused


def test_too_much_without_waiting_ends_the_session():
    r = SmtpRelay(hostname="d", server_extensions=FULL, senders=SenderPolicy(frozenset({ME})))
    r.from_client(mail())
    out = []
    for _ in range(20):
        out += r.from_client(b"x" * 65536)
    assert out[-1] == Close("client overflow")
    assert r.from_client(b"more") == []


def test_data_and_bdat_do_not_mix():
    s = Session()
    s.send(mail() + b"BDAT %d\r\n" % len(HEAD) + HEAD)
    assert s.codes(b"DATA\r\nMAIL FROM:<>\r\nRCPT TO:<x@example.net>\r\nNOOP\r\n") == [
        "503",
        "503",
        "503",
        "250",
    ]
    assert s.codes(b"BDAT 2 LAST\r\n\r\n") == ["250"]
    assert len(s.server.messages) == 1


def test_bdat_without_a_transaction_is_swallowed():
    s = Session()
    assert s.codes(b"BDAT 6 LAST\r\nNOOP\r\n" + b"NOOP\r\n") == ["503", "250"]
    assert s.codes(b"BDAT 0 LAST\r\n") == ["503"]
    assert s.codes(b"BDAT x\r\nMAIL FROM:<a@b>\r\n") == ["421"]
    assert s.closed


def test_reset_inside_a_message_under_way_closes_without_it():
    s = Session()
    s.send(mail() + b"BDAT %d\r\n" % (len(HEAD) + 4) + HEAD + b"\r\nab")
    assert s.server.in_data
    assert s.codes(b"RSET\r\n") == ["421"]
    assert s.closed
    assert s.server.messages == []


def test_reset_before_the_header_is_whole_costs_nothing():
    s = Session()
    s.send(mail() + b"BDAT 7\r\nFrom: a")
    assert s.codes(b"RSET\r\n") == ["250"]
    assert s.codes(mail() + b"DATA\r\n", HEAD + b"\r\n.\r\n") == ["250", "250", "354", "250"]
    assert s.server.messages[0][2] == HEAD + b"\r\n"


@pytest.mark.parametrize("by", ["data", "bdat"])
def test_a_message_too_large_is_not_queued(by):
    s = Session(max_message_bytes=1000)
    s.send(mail())
    body = b"\r\n" + b"x" * 500
    if by == "data":
        assert s.codes(b"DATA\r\n", HEAD + body, body, body, b"\r\n.\r\n")[1:] == ["552"]
    else:
        content = HEAD + body
        assert s.codes(b"BDAT %d\r\n" % len(content) + content, b"BDAT 502\r\n" + body) == ["250", "552"]
    assert s.closed
    assert s.server.messages == []
    assert s.done[-1].accepted is False


def test_a_refused_message_is_not_read_for_ever():
    s = Session(max_message_bytes=1000)
    s.send(mail() + b"DATA\r\n" + HEAD + b"\r\n")
    for _ in range(70):
        s.send(b"x" * (1 << 20))
        if s.closed:
            break
    assert s.closed
    assert b"552 5.3.4" in s.said


def test_the_mail_server_refuses_data():
    s = Session(answers={b"DATA": b"554 5.5.0 no\r\n"})
    assert s.codes(mail() + b"DATA\r\n", HEAD + b"\r\nxx", b"xx\r\n.\r\nNOOP\r\n") == [
        "250",
        "250",
        "354",
        "554",
        "250",
    ]
    assert s.done[0].accepted is False


def test_the_mail_server_refuses_the_message():
    s = Session(answers={b".": b"550-5.7.1 spam\r\n550 5.7.1 go away\r\n"})
    s.send(mail() + b"DATA\r\n")
    assert s.send(HEAD + b"\r\n.\r\n") == b"550-5.7.1 spam\r\n550 5.7.1 go away\r\n"
    assert s.done == [MessageDone(ME, ("bob@example.net",), len(HEAD) + 2, False, "5.7.1 spam 5.7.1 go away")]
    assert s.codes(mail()) == ["250", "250"]


def under_way() -> SmtpRelay:
    r = SmtpRelay(hostname="d", server_extensions=FULL, senders=SenderPolicy(frozenset({ME})))
    r.from_client(mail() + b"DATA\r\n")
    r.from_server(b"250 ok\r\n")
    r.from_server(b"250 ok\r\n")
    r.quota_granted()
    assert r.from_client(HEAD + b"\r\nx") == [ToServer(b"DATA\r\n")]
    assert r.from_server(b"354 go\r\n") == [ToServer(HEAD + b"\r\nx")]
    return r


def test_whoever_leaves_inside_a_message_no_dot_is_sent():
    assert under_way().client_closed() == [Close("client closed")]
    out = under_way().server_closed()
    assert out[0].data.startswith(b"421 4.3.2")
    assert out[1:] == [Close("server closed")]
    out = under_way().shut_down("This door is closing; please connect again")
    assert out == [ToClient(b"421 4.3.2 This door is closing; please connect again\r\n"), Close("shut down")]


def test_a_complete_message_is_seen_through_when_the_client_leaves():
    r = under_way()
    assert r.from_client(b"\r\n.\r\n") == [ToServer(b"\r\n"), ToServer(b".\r\n")]
    assert r.client_closed() == []
    out = r.from_server(b"250 2.0.0 queued\r\n")
    assert isinstance(out[0], MessageDone)
    assert out[1:] == [ToServer(b"QUIT\r\n"), Close("client closed")]


def test_an_answer_inside_the_message_is_told_at_its_end():
    r = under_way()
    assert r.from_server(b"452 4.3.1 disk full\r\n") == []
    assert r.from_client(b"more") == []
    out = r.from_client(b"\r\n.\r\n")
    assert ToClient(b"452 4.3.1 disk full\r\n") in out
    assert isinstance(out[-1], Close)
    assert not any(isinstance(c, ToServer) for c in out)


@pytest.mark.parametrize(
    "noise", [b"250 what\r\n", b"hello\r\n", b"2\n", b"250-a\r\n251 b\r\n", b"x" * 70000]
)
def test_a_mail_server_that_speaks_nonsense_ends_the_session(noise):
    r = SmtpRelay(hostname="d", server_extensions=FULL, senders=SenderPolicy(frozenset({ME})))
    out = r.from_server(noise)
    assert out[0].data.startswith(b"421 4.3.0")
    assert isinstance(out[-1], Close)


def test_421_of_the_mail_server_is_passed_on():
    s = Session(answers={b"MAIL": b"421 4.3.2 going down\r\n"})
    assert s.send(mail()) == b"421 4.3.2 going down\r\n"
    assert s.closed


def test_recipients_have_a_limit():
    s = Session(max_recipients=3)
    assert s.codes(mail(ME, *(f"u{n}@example.net" for n in range(5)))) == ["250"] * 4 + ["452"] * 2


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b".",
        b"\r\n.\r\n",
        b"\0",
        b"x",
        b"DATA\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        mail(),
        mail(""),
        HEAD,
        b"BDAT 5\r\n",
        b"BDAT 5 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"MAIL FROM:<",
        b">",
        b"QUIT\r\n",
        b"EHLO x\r\n",
        b"\xff",
        b"From: ",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=40), st.lists(st.integers(1, 60), max_size=40))
def test_any_talk_in_any_chunks_is_the_same_talk(pieces, cuts):
    talk = b"".join(pieces)
    whole, parts = Session(), Session()
    whole.send(talk)
    at = 0
    for cut in [*cuts, len(talk)]:
        if parts.closed:
            break
        parts.send(talk[at : at + cut])
        at += cut
    if not whole.closed or parts.closed:
        assert parts.said == whole.said
    assert parts.server.messages == whole.server.messages
    assert len(whole.server.messages) == sum(done.accepted for done in whole.done)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"NOOP",
                b"RSET",
                b"VRFY a",
                b"HELP",
                b"EHLO a",
                b"BOGUS",
                b"DATA",
                b"MAIL FROM:<>",
                b"RCPT TO:<a@b.example>",
                b"MAIL FROM:<alice@example.org>",
                b"",
                b"BDAT 0",
            ]
        ),
        max_size=30,
    )
)
def test_each_command_has_one_answer(lines):
    s = Session()
    lines = [line for n, line in enumerate(lines) if line != b"DATA" or b"RCPT" not in b"".join(lines[:n])]
    assert len(s.codes(*(line + b"\r\n" for line in lines))) == len(lines)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=10))
def test_any_octets_of_a_client_and_a_server(blocks):
    for side in ("from_client", "from_server"):
        r = SmtpRelay(hostname="d", server_extensions=FULL, senders=SenderPolicy(frozenset({ME})))
        for block in blocks:
            getattr(r, side)(block)
        assert r.closed or r.shut_down("bye")[-1] == Close("shut down")


def test_the_peer_of_these_tests_can_be_smuggled_to_when_asked():
    """So that the assertions above can fail."""
    u = Upstream()
    u.feed(mail() + b"DATA\r\nx\r\n.\r\n" + mail() + b"DATA\r\ny\r\n.\r\n")
    assert len(u.messages) == 2
