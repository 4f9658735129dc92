"""How long ``gambeson guard shields --replay`` takes over a long request log: ``python bench/replay.py [ROWS]``.

A store is made with so many requests of an ordinary Exchange site (a thousand accounts' worth of programs and cookies,
every query different), a few attacks among them; then the command runs over it as a person would run it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gambeson.guard.core.web.request_log import FORWARDED, logged
from gambeson.guard.core.web.verdict import Forward
from gambeson.model.access import DoorKind
from gambeson.model.event import REQUEST, Event
from gambeson.model.server import Endpoint
from gambeson.model.web import Product, Site, WebRequest
from gambeson.store.control import Store

BEGAN = 1_760_000_000.0
SITE = Site("mail", Product.EXCHANGE, ("mail.example.org",), Endpoint(DoorKind.OWA, "10.0.0.1", 443))
ATTACKS = 20
_SHAPES = (
    ("POST", "/owa/service.svc", "action={word}&EP=1&ID=-{n}&AC=1"),
    ("GET", "/owa/ev.owa2", "ns=PendingRequest&ev=PendingNotificationRequest&UA=0&cid={hex}"),
    (
        "POST",
        "/Microsoft-Server-ActiveSync",
        "Cmd=Sync&User=user{n}%40example.org&DeviceId={hex}&DeviceType=iPhone",
    ),
    ("POST", "/EWS/Exchange.asmx", ""),
    ("GET", "/owa/prem/15.1.2507.6/scripts/boot.worldwide.{small}.mouse.js", ""),
    ("POST", "/mapi/emsmdb/", "MailboxId={hex}@example.org"),
)


def requests(count: int) -> Iterator[Event]:
    """The log's lines, by a fixed seed."""
    chance = random.Random(7)
    for n in range(count):
        method, path, query = chance.choice(_SHAPES)
        given = {
            "n": chance.randrange(10**6),
            "hex": f"{chance.getrandbits(128):032x}",
            "word": chance.choice(("FindItem", "GetItem", "SyncFolderItems")),
            "small": chance.randrange(40),
        }
        who = chance.randrange(1000)
        if n % (count // ATTACKS) == 7:
            path, query = (
                "/autodiscover/autodiscover.json",
                f"@x.example/mapi/nspi/?&Email=autodiscover/autodiscover.json%3f@{n}",
            )
        path = path.format(**given)
        request = WebRequest(
            method,
            "mail.example.org",
            path,
            query.format(**given),
            path.lower(),
            headers=(("user-agent", f"Program/{who % 60}.{who % 7}"),),
            cookies=tuple((name, "") for name in ("ClientId", "X-BackEndCookie", "UC", f"n{who % 15}")),
        )
        data = logged(request, FORWARDED, 200, "rule", Forward(SITE))
        yield Event(f"doors/1/{n:x}", BEGAN + n, REQUEST, "o", f"acc-{who}", source="192.0.2.1", data=data)


def main() -> None:
    """Makes the store, runs the command, prints both times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        (data / "store").mkdir(parents=True)
        began = time.perf_counter()
        with Store.open(f"sqlite:///{data}/store/control.db", migrate=True) as store:
            store.create_organisation("Example", by="bench", at=1.0, id="o")
            batch: list[Event] = []
            for event in requests(count):
                batch.append(event)
                if len(batch) == 10_000:
                    store.events.append(batch)
                    batch = []
            store.events.append(batch)
        size = (data / "store/events.db").stat().st_size
        print(f"made {count} requests in {time.perf_counter() - began:.1f} s, {size / count:.0f} octets each")
        argv = [
            sys.executable,
            "-m",
            "gambeson",
            "guard",
            "shields",
            "--replay",
            "--json",
            "--since",
            "2025-01-01",
        ]
        began, used = time.perf_counter(), _children()
        done = subprocess.run([*argv, "--data", str(data)], stdout=subprocess.PIPE, check=False)
        wall, cpu = time.perf_counter() - began, _children() - used
        told = json.loads(done.stdout)
        hits = {hit["shield"]: hit["requests"] for hit in told["hits"]}
        print(f"replayed {told['requests']} in {wall:.1f} s ({cpu:.1f} s of CPU): {hits}")
        if hits.get("proxyshell") != ATTACKS:
            raise SystemExit("the planted requests were not all found")


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
