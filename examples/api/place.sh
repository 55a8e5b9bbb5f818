#!/bin/sh
# Asks a running service where a guest may go: place.sh [DOMAIN-XML [FACTS-FOLDER...]]. Each folder is a host.
# Prints HOST and the host nodes, or why there is none. Exit 0: placed, 2: refused, 1: no answer.
# The service is at $ZONEWISE_URL.
set -eu
url="${ZONEWISE_URL:-http://127.0.0.1:3000}"
domain="${1:-examples/web1.xml}"
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- examples/host

body=$(node -e '
  const { readFileSync } = require("node:fs");
  const [domain, ...folders] = process.argv.slice(1);
  const names = ["zoneinfo", "buddyinfo", "pagetypeinfo", "meminfo", "sysctl", "version"];
  const factsOf = (folder) =>
    Object.fromEntries(names.map((name) => [name, readFileSync(`${folder}/${name}`, "utf8")]));
  console.log(JSON.stringify({
    hosts: folders.map((folder) => ({ name: folder, facts: factsOf(folder) })),
    guests: [{ xml: readFileSync(domain, "utf8") }],
    limits: { maxSwapMib: 0 },
  }));
' "$domain" "$@")
answer=$(printf '%s' "$body" | curl -sS -H 'content-type: application/json' --data-binary @- "$url/v1/placements")
printf '%s' "$answer" | node -e '
  const answer = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  const [placed] = answer.placements ?? [];
  const [refused] = answer.refused ?? [];
  if (placed) console.log(placed.host, placed.hostNodes.join(","));
  else if (refused) console.log(refused.message);
  else console.error(JSON.stringify(answer));
  process.exit(placed ? 0 : refused ? 2 : 1);
'
