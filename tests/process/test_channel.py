"""Channels: conversations, hostile packets, descriptors, peers that die, hang or flood."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.process.channel import Channel, ChannelGone, ChannelRefused
from gambeson.process.keeper_messages import KeeperHello, SignHeadAsk
from gambeson.process.messages import (
    MAX_MESSAGE,
    Done,
    HealthAsk,
    KillAsk,
    Octets,
    PeerAdded,
    Refused,
    SessionInfo,
    Sessions,
    SessionsAsk,
)
from gambeson.process.packet import ANSWER, NOTE, PacketError, pair, receive_packet, seal_packet, send_packet


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    return uvloop.run if request.param == "uvloop" else asyncio.run


def nobody(message, fds):
    return None


def echo(message, fds):
    return Octets(value=message.payload) if message.payload else Refused(reason="empty", sentence="Say more.")


def test_requests_are_answered_each_with_its_own(run):
    async def main():
        one, other = pair()
        asking = Channel(one, Done, nobody, name="the signer")
        Channel(other, SignHeadAsk, echo)
        answers = await asyncio.gather(
            *(asking.request(SignHeadAsk(payload=bytes([n])), Octets) for n in range(1, 200))
        )
        assert [a.value for a in answers] == [bytes([n]) for n in range(1, 200)]
        with pytest.raises(ChannelRefused) as refused:
            await asking.request(SignHeadAsk(payload=b""), Octets)
        assert (refused.value.reason, refused.value.sentence) == ("empty", "Say more.")
        with pytest.raises(ChannelGone, match="the signer answered nonsense"):
            await asking.request(SignHeadAsk(payload=b"x"), Sessions)

    run(main())


def test_a_peer_that_hangs_costs_the_time_out_and_no_more(run):
    async def main():
        one, other = pair()
        asking = Channel(one, Done, nobody, name="the keeper")
        began = time.monotonic()
        with pytest.raises(ChannelGone, match=r"the keeper did not answer within 0\.2 s"):
            await asking.request(KeeperHello(), Octets, 0.2)
        assert time.monotonic() - began < 0.5
        del other

    run(main())


def test_the_successor_of_a_dead_peer_answers_what_still_waits_and_not_what_is_too_late(run):
    async def main():
        one, other = pair()
        asking = Channel(one, Done, nobody)
        with pytest.raises(ChannelGone):
            await asking.request(SignHeadAsk(payload=b"too late"), Octets, 0.05)
        waiting = asyncio.ensure_future(asking.request(SignHeadAsk(payload=b"in time"), Octets, 5.0))
        await asyncio.sleep(0.05)
        heard = []
        Channel(other, SignHeadAsk, lambda m, f: heard.append(m.payload) or echo(m, f))
        assert (await waiting).value == b"in time"
        assert heard == [b"in time"]

    run(main())


def test_an_answer_meant_for_a_dead_predecessor_is_dropped(run):
    async def main():
        one, other = pair()
        asking = Channel(one, Done, nobody)
        waiting = asyncio.ensure_future(asking.request(SignHeadAsk(payload=b"x"), Octets, 1.0))
        await asyncio.sleep(0)
        asked = receive_packet(other).envelope
        send_packet(other, seal_packet(ANSWER, asked.sender ^ 1, asked.number, 0.0, Octets(value=b"stale")))
        send_packet(other, seal_packet(ANSWER, asked.sender, asked.number, 0.0, Octets(value=b"fresh")))
        assert (await waiting).value == b"fresh"

    run(main())


def test_long_messages_and_descriptors_pass(run, tmp_path):
    async def main():
        one, other = pair()
        many = Sessions(sessions=tuple(SessionInfo(id=str(n), door="imap") for n in range(20000)))
        got = asyncio.get_running_loop().create_future()

        def take(message, fds):
            if isinstance(message, PeerAdded):
                got.set_result(fds)
                return None
            return many

        Channel(other, SessionsAsk | PeerAdded, take)
        asking = Channel(one, Done, nobody)
        assert await asking.request(SessionsAsk(), Sessions) == many
        with open(tmp_path / "f", "w+b") as file:
            file.write(b"through")
            file.flush()
            asking.send(PeerAdded(name="n", role="r"), (file.fileno(),))
            (fd,) = await got
            assert os.pread(fd, 99, 0) == b"through"
            os.close(fd)

    run(main())


def test_what_a_peer_may_not_say_is_refused_and_counted(run):
    async def main():
        one, other = pair()
        door = Channel(one, Done, nobody)
        keeper = Channel(other, KeeperHello, lambda m, f: Done())
        with pytest.raises(ChannelRefused, match="not-for-you"):
            await door.request(SignHeadAsk(payload=b"x"), Octets)
        assert keeper.dropped == 1
        assert await door.request(KeeperHello(), Done) == Done()

    run(main())


def test_a_fault_of_ours_is_a_refusal_and_the_channel_goes_on(run):
    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        one, other = pair()

        async def later(message, fds):
            raise ZeroDivisionError

        Channel(other, HealthAsk | KillAsk, lambda m, f: later(m, f) if isinstance(m, HealthAsk) else 1 // 0)
        asking = Channel(one, Done, nobody)
        for ask in (HealthAsk(), KillAsk(), HealthAsk()):
            with pytest.raises(ChannelRefused, match="fault"):
                await asking.request(ask, Done)

    run(main())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200) | st.just(b"\1") | st.just(b""), max_size=20))
def test_any_packets_are_dropped_and_the_next_good_one_is_answered(packets):
    async def main():
        one, other = pair()
        keeper = Channel(other, SignHeadAsk, echo, take_fds=False)
        for data in packets:
            one.send(data)
        await asyncio.sleep(0)
        door = Channel(one, Done, nobody)
        assert (await door.request(SignHeadAsk(payload=b"x"), Octets)).value == b"x"
        assert keeper.dropped == len(packets)

    asyncio.run(main())


def test_the_keeper_takes_no_descriptors_from_a_door():
    one, other = pair()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        send_packet(one, seal_packet(NOTE, 0, 0, 0.0, KeeperHello()), (one.fileno(), one.fileno()))
        assert receive_packet(other, take_fds=False).fds == ()
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_of_a_bad_packet_are_closed():
    one, other = pair()
    before = len(os.listdir("/proc/self/fd"))
    reader, writer = os.pipe()
    for data, fds in ((b"junk", [reader] * 3), (b"\1", [reader]), (b"\0" * 9, [reader] * 8)):
        socket.send_fds(one, [data], fds)
        with pytest.raises(PacketError):
            receive_packet(other)
    os.close(reader)
    os.close(writer)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_memory_file_that_is_too_long_is_refused():
    one, other = pair()
    spill = os.memfd_create("x")
    os.ftruncate(spill, MAX_MESSAGE + 1)
    socket.send_fds(one, [b"\1"], [spill])
    with pytest.raises(PacketError, match="too long"):
        receive_packet(other)
    with pytest.raises(PacketError, match="too long to send"):
        seal_packet(NOTE, 0, 0, 0.0, Octets(value=b"x" * (MAX_MESSAGE + 1)))


def test_a_peer_that_does_not_read_cannot_fill_our_memory(run):
    async def main():
        one, other = pair()
        sender = Channel(one, Done, nobody, name="the worker")
        sent = 0
        with contextlib.suppress(ChannelGone):
            for sent in range(100_000):
                sender.send(Octets(value=b"x" * 1000))
        assert 1000 < sent < 4000
        heard = []
        Channel(other, Octets, lambda m, f: heard.append(m))
        while len(heard) < sent:
            await asyncio.sleep(0.001)
        sender.send(Octets(value=b"again"))

    run(main())


def test_the_end_is_told_once(run):
    async def main():
        one, other = pair()
        ended = []
        channel = Channel(one, Done, nobody, on_end=lambda: ended.append(1))
        waiting = asyncio.ensure_future(channel.request(KeeperHello(), Done, 5.0))
        await asyncio.sleep(0)
        other.close()
        with pytest.raises(ChannelGone, match="gone"):
            await waiting
        assert ended == [1]
        with pytest.raises(ChannelGone):
            channel.send(Done())

    run(main())
