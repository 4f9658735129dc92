"""Looks at many domains of the laboratory in one process with nothing else in it: what it takes is the looks' own.

Run by bench/look.py: a JSON document on standard input says what to look at, one on standard output what it took.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from gambeson.assess.core.doors import Protocol
from gambeson.assess.core.evaluate import evaluate
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.checks import all_checks
from gambeson.assess.edge.dnssec import TrustAnchors
from gambeson.assess.edge.look import Look, Progress, Request
from gambeson.assess.edge.resolver import Resolver


async def looks(wanted: dict[str, Any]) -> dict[str, Any]:
    """All of them, ``at_once`` at a time: their seconds, questions, and what it all took."""
    address, port = wanted["resolver"]
    anchors, authorities = (
        TrustAnchors.read(Path(wanted["anchors"])),
        Authorities.from_file(Path(wanted["ca"])),
    )
    ports = {Protocol(name): number for name, number in wanted["ports"].items()}
    room, took, lines, questions = asyncio.Semaphore(wanted["at_once"]), [], 0, 0

    async def one(domain: str) -> None:
        nonlocal lines, questions
        async with room:
            now = time.time()
            resolver = Resolver([(address, port)], anchors=anchors, now=now, private=True)
            request = Request(domain, (), wanted["probe"], True, ports)
            try:
                facts = await Look(
                    request, all_checks(), resolver, authorities, now, Progress(lambda _: None)
                ).run()
            finally:
                await resolver.close()
            lines += len(evaluate(facts, all_checks()))
            took.append(facts.took)
            questions += resolver.sent

    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(one(domain) for domain in wanted["domains"]))
    return {
        "took": sorted(took),
        "lines": lines,
        "questions": questions,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(looks(json.load(sys.stdin)))))
