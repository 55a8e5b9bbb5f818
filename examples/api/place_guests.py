#!/usr/bin/env python3
"""Asks a running service to place guests, or to empty a host, as an orchestrator does.

usage: place_guests.py [--evacuate HOST] HOST=FACTS-FOLDER... [-- DOMAIN-XML...]
The service is at $ZONEWISE_URL. Prints a line for each guest: its host, mode and host nodes, or why it has none.
Exit 0: all are placed, 2: some are refused, 1: there is no answer.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SOURCES = ["zoneinfo", "buddyinfo", "pagetypeinfo", "meminfo", "sysctl", "version"]
BASE = os.environ.get("ZONEWISE_URL", "http://127.0.0.1:3000")


def call(method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
    headers = {"content-type": "application/json", "prefer": "respond-async, wait=30"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{BASE}{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.status, json.load(answer)


def place(body: dict) -> dict:
    """The answer, waited for as long as the job takes."""
    status, answer = call("POST", "/v1/placements", body)
    while status == 202:
        if answer["state"] == "succeeded":
            return call("GET", answer["resultUrl"])[1]
        if answer["state"] in ("failed", "cancelled"):
            raise RuntimeError(json.dumps(answer["error"]))
        time.sleep(1)
        answer = call("GET", f"/v1/jobs/{answer['id']}")[1]
    return answer


def host(text: str) -> dict:
    """A host whose facts are in a folder; guests that run there have `guest.NAME.numa_maps` beside them."""
    name, folder = text.split("=", 1)
    facts = {source: (Path(folder) / source).read_text() for source in SOURCES}
    guests = []
    for maps in sorted(Path(folder).glob("guest.*.numa_maps")):
        xml = Path(folder).parent / f"{maps.name.split('.')[1]}.xml"
        guests.append({"xml": xml.read_text(), "state": "running", "numaMaps": maps.read_text()})
    return {"name": name, "facts": facts, "domains": guests}


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--evacuate")
    parser.add_argument("hosts", nargs="+")
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    hosts = [host(text) for text in options.hosts]
    # A guest runs on one host: where several hosts share a recording, the first has it.
    for other in hosts[1:]:
        other["domains"] = []
    body = {"hosts": hosts, "guests": [{"xml": Path(path).read_text()} for path in arguments[split + 1 :]]}
    if options.evacuate:
        body["evacuate"] = options.evacuate
    try:
        answer = place(body)
    except urllib.error.HTTPError as error:
        print(error.read().decode(), file=sys.stderr)
        return 1
    for placed in answer["placements"]:
        numatune = placed["numatune"]
        nodes = ",".join(str(node) for node in numatune["nodeset"])
        print(f"{placed['guest']} {placed['host']} {numatune['mode']} {nodes}")
    for refused in answer["refused"]:
        print(f"{refused['guest']} - {refused['message']}")
    return 2 if answer["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
