"""`dfd-train serve` under load: 50 clients send 500 photographs at the same time; is one lost, and does memory grow?

    python benchmarks/serve_load.py                     # a tiny untrained network, a photograph of 352x288
    python benchmarks/serve_load.py runs/v1 photo.jpg --clients 50 --uploads 500

Each client sends a file, waits for its answer, and takes the next; where the queue of 20 is full, it asks again as the
server says. Wanted: no upload without a report, and no more memory after 500 uploads than after 50. What an upload
costs besides the network, which is tiny here, is the processor time of the server, divided by the uploads.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import PIL.Image
import psutil
from tiny import faces, tiny_network


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, nargs="?", help="as for serve; default: a tiny untrained network")
    parser.add_argument("picture", type=Path, nargs="?", help="default: a frame of the talking head")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--uploads", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "reports"
        run = options.run or tiny_network(Path(temporary))
        if options.picture is None:
            options.picture = Path(temporary) / "face.png"
            PIL.Image.fromarray(faces(1)[0]).save(options.picture)
        command = [
            sys.executable,
            "-m",
            "dfd_train",
            "serve",
            str(run),
            "--port",
            "0",
            "--out",
            str(out),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
            return _measure(process.pid, urlsplit(url).netloc, out, options)
        finally:
            process.terminate()
            process.wait()


def _measure(pid: int, place: str, out: Path, options: argparse.Namespace) -> int:
    content, memory, done, ended = options.picture.read_bytes(), [], [0], threading.Event()
    server = psutil.Process(pid)

    def watch() -> None:
        while not ended.wait(0.5):
            memory.append((done[0], server.memory_info().rss / 1e6))

    threading.Thread(target=watch, daemon=True).start()
    began = time.monotonic()
    with ThreadPoolExecutor(options.clients) as clients:
        answers = list(
            clients.map(
                lambda number: _client(place, options.picture.name, content, done), range(options.uploads)
            )
        )
    seconds, spent = time.monotonic() - began, server.cpu_times()
    ended.set()
    refused = sum(again for _, again in answers)
    kept = len(list(out.glob("*/report/result.json")))
    states = {state: sum(answer == state for answer, _ in answers) for state, _ in answers}
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    print(
        f"{options.uploads} uploads by {options.clients} clients in {seconds:.0f} s, "
        f"{(spent.user + spent.system) / options.uploads:.2f} s of processor time each: {said}; {kept} reports kept, "
        f"{options.uploads - kept} lost. The queue was full {refused} times, and the client asked again.\n"
    )
    print("| uploads done | the server's memory, MB |\n|---|---|")
    for share in (0.1, 0.2, 0.5, 1.0):
        at = [size for count, size in memory if count <= share * options.uploads]
        print(f"| {share * options.uploads:.0f} | {at[-1] if at else float('nan'):.0f} |")
    return 0 if states == {"done": options.uploads} and kept == options.uploads else 1


def _client(place: str, name: str, content: bytes, done: list[int]) -> tuple[str, int]:
    """Sends a file, as often as it takes, and waits for its answer: its state, and how often there was no place."""
    again = 0
    while True:
        status, body, wait = _ask(place, "POST", f"/uploads?name={name}", content)
        if status != 503:
            break
        again += 1
        time.sleep(wait)
    if status != 201:
        return f"{status} {body.get('error')}", again
    while body["state"] not in ("done", "failed", "cancelled"):
        time.sleep(0.5)
        status, found, wait = _ask(place, "GET", f"/uploads/{body['id']}")
        if status == 200:
            body = found
        elif status != 503:
            return f"{status}", again
    done[0] += 1
    return body["state"], again


def _ask(place: str, method: str, path: str, content: bytes | None = None) -> tuple[int, dict, float]:
    connection = http.client.HTTPConnection(place, timeout=120)
    connection.request(method, path, content, {"Content-Type": "application/octet-stream"} if content else {})
    reply = connection.getresponse()
    found = json.loads(reply.read() or b"{}") if "json" in (reply.headers["Content-Type"] or "") else {}
    return reply.status, found, float(reply.headers["Retry-After"] or 1)


if __name__ == "__main__":
    sys.exit(main())
