#!/bin/sh
# Asks a running service whether one more guest may start on a host: check-plan.sh [FACTS-FOLDER [DOMAIN-XML]]
# Exit 0: the plan holds, 2: it does not, 1: it could not be judged. The service is at $ZONEWISE_URL.
set -eu
url="${ZONEWISE_URL:-http://127.0.0.1:3000}"
folder="${1:-examples/host}"
domain="${2:-examples/web1.xml}"

body=$(node -e '
  const { readFileSync } = require("node:fs");
  const [folder, domain] = process.argv.slice(1);
  const text = (name) => readFileSync(`${folder}/${name}`, "utf8");
  const facts = {};
  for (const name of ["zoneinfo", "buddyinfo", "pagetypeinfo", "meminfo", "sysctl", "version"]) facts[name] = text(name);
  console.log(JSON.stringify({
    host: { facts },
    domains: [{ xml: readFileSync(domain, "utf8") }],
    policies: { margin: { minPercent: 5 } },
  }));
' "$folder" "$domain")
answer=$(printf '%s' "$body" | curl -sS -H 'content-type: application/json' --data-binary @- "$url/v1/packing-plans/check")
verdict=$(printf '%s' "$answer" | node -pe 'JSON.parse(require("node:fs").readFileSync(0)).verdict ?? "unjudged"')
echo "$verdict"
case "$verdict" in
  pass) exit 0 ;;
  fail) exit 2 ;;
  *) printf '%s\n' "$answer" >&2; exit 1 ;;
esac
