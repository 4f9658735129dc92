"""The load: an IMAP client of its own process, told what to do by one JSON argument, answering in JSON lines.

``logins``: so many new TLS connections, each signed in and dropped, some at a time. ``fetch``: one message, several
times over one connection. ``hold``: sessions spread over 127/8 that stay until a line comes on standard input or the
other side closes them all; then it says when the last was closed.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import time
from typing import Any

import uvloop

Job = dict[str, Any]


def context(job: Job) -> ssl.SSLContext:
    """TLS 1.3, verified; with a client certificate where the job names one."""
    made = ssl.create_default_context(cafile=job["ca"])
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if job.get("certificate"):
        made.load_cert_chain(job["certificate"])
    return made


async def sign_in(
    job: Job, tls: ssl.SSLContext, number: int, source: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """One session. Raises RuntimeError with the server's answer where it is not let in."""
    name, secret = job["accounts"][number % len(job["accounts"])]
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        job["port"],
        ssl=tls,
        server_hostname="localhost",
        local_addr=(source, 0) if source else None,
    )
    await reader.readline()
    writer.write(f'a LOGIN "{name}" "{secret}"\r\n'.encode())
    while True:
        line = await reader.readline()
        if line.startswith(b"a OK"):
            return reader, writer
        if not line or line.startswith((b"a ", b"* BYE")):
            raise RuntimeError(line.decode(errors="replace").strip() or "closed")


async def logins(job: Job) -> Job:
    """``count`` logins, ``at_once`` at a time; milliseconds."""
    tls = context(job)
    numbers = iter(range(job["first"], job["first"] + job["count"]))
    taken: list[float] = []
    errors: list[str] = []

    async def work() -> None:
        for number in numbers:
            begin = time.perf_counter()
            try:
                _, writer = await sign_in(job, tls, number)
            except (OSError, RuntimeError) as error:
                errors.append(str(error))
                continue
            taken.append((time.perf_counter() - begin) * 1000)
            writer.transport.abort()

    begin = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(job["at_once"])))
    seconds = time.perf_counter() - begin
    taken.sort()
    return {
        "done": len(taken),
        "seconds": seconds,
        "p50": taken[len(taken) // 2] if taken else 0.0,
        "p99": taken[len(taken) * 99 // 100] if taken else 0.0,
        "errors": errors[:3],
    }


def fetch(job: Job) -> Job:
    """Message 1 of the mailbox, ``times`` times."""
    name, secret = job["accounts"][0]
    connection = socket.create_connection(("127.0.0.1", job["port"]), 30)
    with context(job).wrap_socket(connection, server_hostname="localhost") as sock:

        def until(end: bytes) -> None:
            got = b""
            while end not in got:
                got += sock.recv(65536) or sys.exit(f"closed: {got!r}")

        until(b"\r\n")
        sock.sendall(f'a LOGIN "{name}" "{secret}"\r\n'.encode())
        until(b"a OK")
        sock.sendall(b"b SELECT INBOX\r\n")
        until(b"b OK")
        buffer = bytearray(1 << 18)
        view = memoryview(buffer)
        octets = 0
        begin = time.perf_counter()
        for _ in range(job["times"]):
            sock.sendall(b"c FETCH 1 BODY.PEEK[]\r\n")
            tail = b""
            while not (b"\r\nc OK" in tail and tail.endswith(b"\r\n")):
                count = sock.recv_into(buffer)
                if not count:
                    sys.exit("closed while fetching")
                octets += count
                tail = (tail + bytes(view[max(0, count - 96) : count]))[-96:]
        seconds = time.perf_counter() - begin
        return {"octets": octets, "seconds": seconds, "cipher": sock.cipher()}


async def hold(job: Job) -> Job:
    """Open ``count`` sessions, say so, and watch them."""
    tls = context(job)
    turn = asyncio.Semaphore(24)
    errors: list[str] = []
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    closed: list[float] = []

    async def one(number: int) -> None:
        source = f"127.{1 + number % 200}.{number // 200 % 200}.{1 + number % 250}"
        async with turn:
            try:
                held.append(await sign_in(job, tls, number, source))
            except (OSError, RuntimeError) as error:
                errors.append(str(error))

    async def watch(reader: asyncio.StreamReader) -> None:
        try:
            while await reader.read(4096):
                pass
        except OSError:
            pass
        closed.append(time.time())

    await asyncio.gather(*(one(n) for n in range(job["count"])))
    watching = asyncio.gather(*(watch(reader) for reader, _ in held))
    print(json.dumps({"open": len(held), "errors": errors[:3]}), flush=True)
    line = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.wait([watching, line], return_when=asyncio.FIRST_COMPLETED)
    answer = {"closed": len(closed), "first": min(closed, default=0.0), "last": max(closed, default=0.0)}
    print(json.dumps(answer), flush=True)
    await line
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    for _, writer in held:
        writer.transport.abort()
    return {}


def main() -> None:
    """Do the job and print what came of it."""
    job = json.loads(sys.argv[1])
    match job["what"]:
        case "logins":
            print(json.dumps(uvloop.run(logins(job))))
        case "fetch":
            print(json.dumps(fetch(job)))
        case "hold":
            uvloop.run(hold(job))


if __name__ == "__main__":
    main()
