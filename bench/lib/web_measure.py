"""The measurements at the web doors. Rounds are interleaved: in each everyone has its turn; figures are medians over
the rounds, ratios are within the run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .contestants import HERE, Contestant
from .measure import MEGABYTE, Row, spent, used
from .meter import pss
from .web_stage import DOWN, HOST, LARGE, OURS, UP, UPLOADS, Ask, WebStage, common, found

CONNECTIONS = 32
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


def _milliseconds(text: str, percent: str) -> float:
    hit = re.search(rf"(?m)^\s+{percent}%\s+([\d.]+)(us|ms|s|m)$", text)
    if hit is None:
        raise RuntimeError(text)
    return float(hit[1]) * UNITS[hit[2]]


def _script(folder: Path, ask: Ask) -> str:
    """wrk's, with the request that is sent again and again."""

    def quoted(octets: bytes) -> str:
        return '"' + "".join(f"\\{octet:03d}" for octet in octets) + '"'

    lines = [f'wrk.method = "{ask.method}"']
    lines += [f"wrk.headers[{quoted(k.encode())}] = {quoted(v.encode())}" for k, v in ask.headers.items()]
    if ask.body:
        lines.append(f"wrk.body = {quoted(ask.body)}")
    if ask.many:
        # Every request has another address of this shape, as the pictures of a page have.
        before, _, behind = ask.target.partition("anna")
        lines += [
            "local number = 0",
            "request = function()",
            "  number = (number + 1) % 997",
            f"  return wrk.format(nil, {quoted(before.encode())} .. 'anna' .. number .. {quoted(behind.encode())})",
            "end",
        ]
    path = folder / "wrk.lua"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def requests(stage: WebStage, asks: list[str], rounds: int, seconds: int) -> dict[str, list[Row]]:
    """Small answers over kept connections: by kind of request, a row each."""
    rows: dict[str, dict[str, Row]] = {}
    for number in range(-1, rounds):
        stage.renew()
        for kind in asks:
            ask: Ask = getattr(stage, kind)()
            table = rows.setdefault(ask.name, {})
            for contestant in stage.contestants:
                for_seconds = seconds if number >= 0 else 1  # the first round only warms up
                script = _script(stage.folder, ask)
                url = f"https://{HOST}:{contestant.port}{ask.target}"
                command = [
                    found("wrk"),
                    "-t1",
                    f"-c{CONNECTIONS}",
                    f"-d{for_seconds}s",
                    "--latency",
                    "-s",
                    script,
                    url,
                ]
                time.sleep(0.2)
                before = used(contestant)
                done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
                time.sleep(0.1)
                after = used(contestant)
                text = done.stdout
                if done.returncode or "Non-2xx" in text or "Socket errors" in text:
                    raise RuntimeError(f"{contestant.name}: {text}{done.stderr}")
                count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
                rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
                if number >= 0:
                    table.setdefault(contestant.name, Row(contestant.name)).add(
                        rate=rate,
                        p50=_milliseconds(text, "50"),
                        p99=_milliseconds(text, "99"),
                        **spent(before, after, count / 1000),  # microseconds a request
                    )
    return {name: list(table.values()) for name, table in rows.items()}


def _client(job: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "web_client.py"), json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-2000:]}{done.stdout}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _bulk_job(stage: WebStage, contestant: Contestant, what: str) -> dict[str, Any]:
    """One large body. Ours has the sink as a site of its own; the others tell it by its path."""
    browsing = stage.browsing()
    ask = Ask(what, "GET", DOWN, browsing.headers)
    if what == "upload":
        headers = {
            **browsing.headers,
            "Content-Type": "application/octet-stream",
            "Content-Length": str(LARGE),
        }
        ask = Ask(what, "POST", UP, headers)
    job = common(ask, contestant) | {"what": what, "ca": stage.ca}
    if what == "upload":
        host = UPLOADS if contestant.name == OURS else HOST
        cookie = stage.upload_cookie if contestant.name == OURS else stage.cookie
        named = f"{host}:{contestant.port}"
        job["headers"] |= {"Host": named, "Origin": f"https://{named}", "Cookie": cookie}
        job |= {"sni": host, "body": LARGE}
    return job


def bulk(stage: WebStage, what: str, rounds: int, times: int) -> list[Row]:
    """100 MB, some times over one connection."""
    rows: dict[str, Row] = {}
    stage.renew()
    for number in range(-1, rounds):
        for contestant in stage.contestants:
            job = _bulk_job(stage, contestant, what) | {"times": times if number >= 0 else 1}
            before = used(contestant)
            answer = _client(job)
            megabytes = answer["octets"] / MEGABYTE
            if number >= 0:
                rows.setdefault(contestant.name, Row(contestant.name)).add(
                    rate=megabytes / answer["seconds"], **spent(before, used(contestant), megabytes)
                )
    return list(rows.values())


def idle(stage: WebStage, count: int) -> list[Row]:
    """KiB a connection: what the proxy's processes have more with the connections than before."""
    rows = []
    stage.renew()
    for contestant in stage.contestants:
        job = common(stage.browsing(), contestant) | {"what": "hold", "ca": stage.ca}
        for number in (32, count):  # the first ones bring what belongs to no connection
            pids = [pid for part in contestant.memory for pid in contestant.pids(part)]
            before = pss(pids)
            command = [sys.executable, str(HERE / "web_client.py"), json.dumps(job | {"count": number})]
            client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert client.stdout is not None
            opened = json.loads(client.stdout.readline() or "{}")
            if opened.get("open") != number:
                client.kill()
                raise RuntimeError(f"{contestant.name}: only {opened}")
            if number == count:
                time.sleep(35)  # long enough for what is only kept for the next request
            after = pss(pids)
            out, _ = client.communicate("\n", timeout=60)
            time.sleep(1.5)
        if json.loads(out)["still"] != count:
            raise RuntimeError(f"{contestant.name}: some were closed: {out}")
        row = Row(contestant.name)
        row.add(before=before / 1024, after=after / 1024, each=(after - before) / count)
        rows.append(row)
    return rows
