#!/usr/bin/env python3
"""Asks a running service whether guests may start on a host, and prints what is against it.

usage: check_plan.py [FACTS-FOLDER [DOMAIN-XML...]]; the service is at $ZONEWISE_URL.
Exit 0: the plan holds, 2: it does not, 1: it could not be judged.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

SOURCES = ["zoneinfo", "buddyinfo", "pagetypeinfo", "meminfo", "sysctl", "version"]


def check(plan: dict) -> dict:
    base = os.environ.get("ZONEWISE_URL", "http://127.0.0.1:3000")
    request = urllib.request.Request(
        f"{base}/v1/packing-plans/check",
        data=json.dumps(plan).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "examples/host")
    domains = sys.argv[2:] or ["examples/web1.xml", "examples/web2.xml"]
    plan = {
        "host": {"facts": {name: (folder / name).read_text() for name in SOURCES}},
        "domains": [{"xml": Path(path).read_text()} for path in domains],
        "policies": {"remote-share": {"maxShare": 0.1}},
    }
    try:
        verdict = check(plan)
    except urllib.error.HTTPError as error:
        print(error.read().decode(), file=sys.stderr)
        return 1
    for finding in verdict["findings"]:
        print(f"{finding['rule']} {finding['severity']} {finding['message']}")
    print(verdict["verdict"])
    return 0 if verdict["verdict"] == "pass" else 2


if __name__ == "__main__":
    sys.exit(main())
