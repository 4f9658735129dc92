"""Logins and refusals through a real door, over TLS on loopback."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace

import pytest

from gambeson.model.access import Mode
from gambeson.model.server import SignIn
from gambeson.process.keeper_client import KeeperGone, KeeperRefused
from guard.edge.doors import (
    FAST,
    OTHER_SECRET,
    SECRET,
    UPSTREAM_PASSWORD,
    ImapPeer,
    doors,
    organisation,
    pki,
    run,
    upstream,
)


def test_a_device_secret_enters_and_never_reaches_the_mail_server() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client()
        answer = await client.login()
        assert answer.startswith(b"a OK"), answer
        assert b"MOVE" in answer  # the mail server's own capabilities, after login
        client.send(b"b SELECT INBOX\r\n")
        assert await client.until(b"b ") == [b"* ECHO SELECT INBOX\r\n", b"b OK\r\n"]
        assert peer.logins == [("alice@example.org", UPSTREAM_PASSWORD)]
        assert not any(SECRET.text.encode() in line for line in peer.lines)
        [view] = at.server.sessions()
        assert (view.address, view.device, view.source) == ("alice@example.org", "d1", "127.0.0.1")
        client.close()
        await asyncio.sleep(0.3)
        assert [e.kind for e in at.events()] == ["door.login.allowed", "door.session.closed"]
        assert SECRET.text not in repr(at.events())
        assert at.server.sessions() == []
        await at.server.stop()

    run(main)


def test_wrong_right_and_unknown_are_refused_alike_in_words_and_time() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.passwords.add("her real password")
        at = await doors(organisation(upstream(await peer.start())))
        seen = []
        for name, password in (
            ("alice@example.org", "her real password"),
            ("alice@example.org", "wrong"),
            ("nobody@example.org", "wrong"),
            ("alice@example.org", OTHER_SECRET.text),
        ):
            client = await at.client()
            await client.line()
            began = time.perf_counter()
            answer = await client.login_again(password, name)
            seen.append((answer, time.perf_counter() - began))
            client.close()
        assert len({answer for answer, _ in seen}) == 1, seen
        assert b"https://login.example.org" in seen[0][0]
        times = [t for _, t in seen]
        assert min(times) >= FAST.refusal - 0.01
        assert max(times) - min(times) < 0.05, times
        assert peer.connections == 0  # the mail server was never asked
        refused = at.events("door.login.refused")
        assert len(refused) == 4
        assert "real password" not in repr(refused)
        await at.server.stop()

    run(main)


def test_a_refused_client_may_try_again_on_the_same_connection() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client()
        assert b"NO" in await client.login("guess")
        assert b"OK" in await client.login_again()
        await at.server.stop()

    run(main)


def test_starttls_then_login() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client("imap")
        await client.line()
        client.send(b'x LOGIN alice "%s"\r\n' % SECRET.text.encode())
        assert (await client.line()).startswith(b"x NO")  # no login before TLS
        client.send(b"s STARTTLS\r\n")
        assert (await client.line()).startswith(b"s OK")
        await client.start_tls()
        assert (await client.login_again()).startswith(b"a OK")
        await at.server.stop()

    run(main)


def test_plaintext_pipelined_behind_starttls_is_dropped() -> None:
    async def main() -> None:
        at = await doors(organisation())
        client = await at.client("imap")
        await client.line()
        client.send(b"s STARTTLS\r\nevil NOOP\r\n")
        assert (await client.line()).startswith(b"s OK")
        await client.start_tls()
        client.send(b"b NOOP\r\n")
        answers = await client.until(b"b ")
        assert not any(b"evil" in line for line in answers), answers
        await at.server.stop()

    run(main)


def test_plaintext_behind_the_go_ahead_ends_the_connection() -> None:
    async def main() -> None:
        at = await doors(organisation())
        client = await at.client("imap")
        await client.line()
        client.send(b"s STARTTLS\r\n")
        assert (await client.line()).startswith(b"s OK")
        client.send(b"evil NOOP\r\n")
        assert b"evil" not in await client.rest()
        await at.server.stop()

    run(main)


def test_commands_pipelined_behind_login_reach_the_mail_server_in_order() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client()
        await client.line()
        many = b"".join(b"p%d DO %d\r\n" % (n, n) for n in range(1000))
        client.send(f'a LOGIN alice@example.org "{SECRET.text}"\r\n'.encode() + many)
        assert (await client.until(b"a "))[-1].startswith(b"a OK")
        answers = await client.until(b"p999 ")
        assert [x for x in answers if x.startswith(b"* ECHO")] == [
            b"* ECHO DO %d\r\n" % n for n in range(1000)
        ]
        await at.server.stop()

    run(main)


def test_what_the_mail_server_sends_behind_its_ok_reaches_the_client() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.behind_login = b"* 23 EXISTS\r\n"
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client()
        await client.login()
        assert await client.line() == b"* 23 EXISTS\r\n"
        await at.server.stop()

    run(main)


def test_a_device_certificate_enters_by_external_and_by_name() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client(certificate=pki().phone)
        assert b"AUTH=EXTERNAL" in await client.line()
        client.send(b"a AUTHENTICATE EXTERNAL =\r\n")
        assert (await client.until(b"a "))[-1].startswith(b"a OK")
        assert at.keeper.asked[0].certificate == pki().phone[2]
        client = await at.client("imap")
        await client.line()
        client.send(b"s STARTTLS\r\n")
        await client.line()
        await client.start_tls(pki().phone)
        assert (await client.login_again(at.keeper.own_password)).startswith(b"a OK")
        await at.server.stop()

    run(main)


def test_a_certificate_of_another_authority_fails_in_tls() -> None:
    async def main() -> None:
        at = await doors(organisation())
        foreign = pki().server_ca.issue(pki().folder, "foreign.test")
        try:
            client = await at.client(certificate=foreign)
            assert not await client.rest() or await client.rest() == b"<reset>"
        except ssl.SSLError:
            pass
        await asyncio.sleep(0.1)
        assert at.server.door.admission.open == 0
        await at.server.stop()

    run(main)


def test_the_server_name_chooses_the_certificate() -> None:
    async def main() -> None:
        at = await doors(organisation())
        for name in ("mail.example.org", "mail.example.net"):
            client = await at.client(name=name)  # the client verifies the name
            assert await client.line()
            client.close()
        await at.server.stop()

    run(main)


@pytest.mark.parametrize("trouble", ["gone", "refused", "hangs", "password"])
def test_trouble_with_the_keeper_is_no_fault_of_the_person(trouble: str) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        match trouble:
            case "gone":
                at.keeper.trouble = KeeperGone("the keeper is gone")
            case "refused":
                at.keeper.trouble = KeeperRefused("rate")
            case "hangs":
                at.keeper.hang = True
            case "password":
                at.keeper.upstream_password = "no longer right"
        client = await at.client()
        answer = await client.login()
        assert b"NO [UNAVAILABLE]" in answer, answer
        [event] = at.events("door.login.failed")
        assert event.account == "a1"
        assert event.data["why"]
        await at.server.stop()

    run(main)


def test_observe_lets_a_password_pass_as_it_is_and_records_what_enforcing_would_do() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.passwords = {"her real password"}
        at = await doors(organisation(upstream(await peer.start()), mode=Mode.OBSERVE))
        client = await at.client()
        assert (await client.login("her real password")).startswith(b"a OK")
        assert peer.logins == [("alice@example.org", "her real password")]
        assert at.keeper.asked == []
        [event] = at.events("door.login.allowed")
        assert (event.data["mode"], event.data["opinion"]) == ("observe", "challenge")
        client = await at.client()
        answer = await client.login("wrong")
        # What is true: the password was looked at. That one alone opens no door is not, here.
        assert (
            answer == b"a NO [AUTHENTICATIONFAILED] The mail server did not take this name and password.\r\n"
        )
        assert len(at.events("door.login.refused")) == 1
        await at.server.stop()

    run(main)


def test_while_the_bypass_is_open_a_wrong_password_hears_what_is_true() -> None:
    async def main() -> None:
        peer = ImapPeer()
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(replace(snapshot, bypass_until=(("o1", time.time() + 60),)))
        heard = {
            await (await at.client()).login("wrong", name)
            for name in ("alice@example.org", "nobody@example.org")
        }
        assert heard == {
            b"a NO [AUTHENTICATIONFAILED] The mail server did not take this name and password.\r\n"
        }
        assert {name for name, _ in peer.logins} == {"alice@example.org", "nobody@example.org"}
        await at.server.stop()

    run(main)


def test_counting_goes_by_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        at = await doors(organisation())
        door, real = at.server.door, time.time
        before = door.counting()
        assert abs(before - real()) < 5
        monkeypatch.setattr(time, "time", lambda: real() + 7200)
        await asyncio.sleep(0.02)
        assert 0 < door.counting() - before < 60
        monkeypatch.undo()
        await at.server.stop()

    run(main)


def test_a_device_secret_never_goes_as_is_even_where_passwords_may() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start()), mode=Mode.OBSERVE))
        client = await at.client()
        assert b"NO" in await client.login(OTHER_SECRET.text)
        assert peer.logins == []
        await at.server.stop()

    run(main)


def test_certificate_and_password_as_is() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.passwords = {"her real password"}
        at = await doors(organisation(upstream(await peer.start(), sign_in=SignIn.AS_IS)))
        client = await at.client(certificate=pki().phone)
        assert (await client.login("her real password", "al@example.org")).startswith(b"a OK")
        assert peer.logins == [("alice@example.org", "her real password")]
        client = await at.client(certificate=pki().phone)
        assert b"NO" in await client.login("wrong")
        assert len(at.events("door.login.refused")) == 1
        client = await at.client()
        assert b"NO" in await client.login("her real password")  # the password alone opens nothing
        assert len(peer.logins) == 2
        client = await at.client(certificate=pki().phone)
        await client.line()
        client.send(b"a AUTHENTICATE EXTERNAL =\r\n")  # nothing that the mail server could be asked about
        assert b"asks for the mailbox's own password" in await client.line()
        assert at.events("door.login.refused")[-1].data["failure"] == "password-not-sendable"
        assert len(peer.logins) == 2
        await at.server.stop()

    run(main)


def test_without_snapshot_or_with_an_old_one_nobody_enters() -> None:
    async def main() -> None:
        peer = ImapPeer()
        port = await peer.start()
        at = await doors(None)
        client = await at.client()
        assert b"NO" in await client.login()
        await at.server.stop()
        at = await doors(organisation(upstream(port), made_at=time.time() - 4000))
        client = await at.client()
        assert b"NO" in await client.login()
        assert peer.connections == 0
        await at.server.stop()

    run(main)


def test_an_event_record_that_fails_admits_nobody() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        full = at.server.door.recorder._spool

        def no_space(fd: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        full._write = no_space  # type: ignore[attr-defined]
        client = await at.client()
        assert b"NO [UNAVAILABLE]" in await client.login()
        assert at.server.sessions() == []
        await at.server.stop()

    run(main)


def test_the_throttle_closes_for_guesses_and_not_for_the_device() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        for _ in range(5):
            client = await at.client()
            await client.line()
            for _ in range(3):
                await client.login_again("guess")
            client.close()
        assert any(e.data["reason"] == "throttled" for e in at.events("door.login.refused"))
        client = await at.client()
        assert (await client.login()).startswith(b"a OK")
        await at.server.stop()

    run(main)
