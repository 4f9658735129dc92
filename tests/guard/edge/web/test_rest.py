"""A client that asks nothing for a while keeps its connection; the server's is let go, unless it has signed that in."""

from __future__ import annotations

from guard.edge.doors import run

from .webdoors import access, stage, until


def test_the_servers_connection_goes_and_the_next_request_has_a_new_one() -> None:
    async def main() -> None:
        s = await stage(who=access())
        browser = await s.browser()
        assert (await browser.get("/a")).status == 200
        connection = await s.connection()
        again = connection.due(connection.deadline)
        assert again > connection.door.wheel.now
        await until(lambda: s.peer.open == 0)
        assert (await browser.get("/a")).status == 200
        assert s.peer.connections == 2
        assert [seen.connection for seen in s.peer.seen] == [1, 2]
        await s.stop()

    run(main)


def test_one_that_the_server_has_signed_in_stays() -> None:
    async def main() -> None:
        s = await stage(who=access())
        browser = await s.browser()
        assert (await browser.get("/ntlm")).status == 401
        connection = await s.connection()
        connection.due(connection.deadline)
        assert (await browser.get("/a")).status == 200
        assert s.peer.connections == 1
        await s.stop()

    run(main)
