"""The client for large bodies and idle connections, told what to do by one JSON argument, answering in JSON lines.

``download``, ``upload``: over one connection, ``times`` times. ``hold``: connections spread over 127/8 on which one
request each was answered, and which stay until a line comes on standard input. For many small requests there is wrk.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import sys
import time
from typing import Any

import uvloop

Job = dict[str, Any]
HEAD_END = b"\r\n\r\n"


def context(job: Job) -> ssl.SSLContext:
    """TLS 1.3, verified."""
    made = ssl.create_default_context(cafile=job["ca"])
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


def request(job: Job) -> bytes:
    """The head that is sent."""
    lines = [f"{job['method']} {job['target']} HTTP/1.1", *(f"{k}: {v}" for k, v in job["headers"].items())]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(sock: ssl.SSLSocket, buffer: bytearray) -> int:
    """Read one answer to its end; octets of its body. Exits where it is no good one."""
    got = b""
    while HEAD_END not in got:
        got += sock.recv(65536) or sys.exit(f"closed: {got!r}")
    head, _, rest = got.partition(HEAD_END)
    if b" 200 " not in head[:16]:
        sys.exit(f"refused: {got[:600]!r}")
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    size = int(found[1]) if found else sys.exit(f"no length: {head!r}")
    left = size - len(rest)
    while left > 0:
        left -= sock.recv_into(buffer) or sys.exit("closed in a body")
    return size


def bulk(job: Job) -> Job:
    """Large bodies, down or up."""
    plain = socket.create_connection(("127.0.0.1", job["port"]), 60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer, body = bytearray(1 << 18), bytes(job["body"])
    with context(job).wrap_socket(plain, server_hostname=job["sni"]) as sock:
        octets, head = 0, request(job)
        begin = time.perf_counter()
        for _ in range(job["times"]):
            sock.sendall(head)
            for at in range(0, len(body), 1 << 18):
                sock.sendall(memoryview(body)[at : at + (1 << 18)])
            octets += answer(sock, buffer) + len(body)
        return {"octets": octets, "seconds": time.perf_counter() - begin, "cipher": sock.cipher()}


async def hold(job: Job) -> None:
    """Open connections, ask once on each, say so, wait."""
    tls, head = context(job), request(job)
    turn = asyncio.Semaphore(24)
    errors: list[str] = []
    held: list[asyncio.StreamWriter] = []

    async def one(number: int) -> None:
        source = f"127.{1 + number % 200}.{number // 200 % 200}.{1 + number % 250}"
        async with turn:
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", job["port"], ssl=tls, server_hostname=job["sni"], local_addr=(source, 0)
                )
                writer.write(head)
                got = await reader.readuntil(HEAD_END)
                if b" 200 " not in got[:16]:
                    raise OSError(got.decode("latin-1"))
                found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", got)
                await reader.readexactly(int(found[1]) if found else 0)
                held.append(writer)
            except (OSError, EOFError) as error:
                errors.append(str(error))

    await asyncio.gather(*(one(n) for n in range(job["count"])))
    print(json.dumps({"open": len(held), "errors": errors[:3]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    still = sum(not writer.transport.is_closing() for writer in held)
    print(json.dumps({"still": still}), flush=True)
    for writer in held:
        writer.transport.abort()


def main() -> None:
    """Do the job and print what came of it."""
    job = json.loads(sys.argv[1])
    if job["what"] == "hold":
        uvloop.run(hold(job))
    else:
        print(json.dumps(bulk(job)))


if __name__ == "__main__":
    main()
