#!/bin/sh
# Gathers what Zonewise reads of a host with its running guests into one tar archive on standard output:
#
#   sh collector.sh > host.tar
#   curl --data-binary @host.tar -H 'Content-Type: application/x-tar' http://ZONEWISE/v1/hosts/import
#
# It only reads, makes no temporary file, and needs sh and coreutils. numactl, numastat and virsh are asked
# where they are there. pagetypeinfo and the guests' numa_maps need root. What could not be read is said on
# standard error and in the archive's file "unread".
set -u
LC_ALL=C
export LC_ALL
root=${ZONEWISE_ROOT:-}
folder=zonewise
now=$(date +%s)
missing=

if [ -t 1 ]; then
  echo "usage: sh collector.sh > host.tar" >&2
  exit 2
fi

# miss WHAT WHY
miss() {
  missing="$missing$1: $2
"
  echo "not read: $1: $2" >&2
}

# zeros COUNT
zeros() {
  head -c "$1" /dev/zero
}

# put PATH: a file of the archive with $content in it
put() {
  name=$folder/$1
  size=${#content}
  octal=$(printf '%011o' "$size")
  time=$(printf '%011o' "$now")
  sum=0
  # The checksum counts its own field as spaces.
  for byte in $(printf '%s' "${name}000064400000000000000${octal}${time}        0ustar00" | od -An -v -tu1); do
    sum=$((sum + byte))
  done
  printf '%s' "$name"
  zeros $((100 - ${#name}))
  printf '0000644\0000000000\0000000000\000%s\000%s\000%06o\000 0' "$octal" "$time" "$sum"
  zeros 100
  printf 'ustar\00000'
  zeros 247
  printf '%s' "$content"
  [ $((size % 512)) -eq 0 ] || zeros $((512 - size % 512))
}

# load FILE: its text into $content, with the newlines at its end
load() {
  content=$(cat "$root$1" 2>/dev/null && printf x) && content=${content%x}
}

# take FILE [PATH]: a file of the host, under its own path or another
take() {
  if load "$1"; then
    put "${2:-${1#/}}"
  elif [ -e "$root$1" ]; then
    reason=$(cat "$root$1" 2>&1 >/dev/null)
    miss "$1" "${reason##*: }"
  else
    miss "$1" 'there is no such file'
  fi
}

# answer COMMAND...: what it prints into $content
answer() {
  content=$(timeout 30 "$@" 2>/dev/null </dev/null && printf x) && content=${content%x}
}

# run COMMAND...: what it prints, if there is such a command
run() {
  if ! command -v "$1" >/dev/null 2>&1; then
    miss "$*" 'there is no such command'
  elif answer "$@"; then
    put "commands/$(printf '%s' "$*" | tr ' ' '_')"
  else
    miss "$*" 'the command failed'
  fi
}

# settings: the files of /proc/sys/vm as sysctl prints them. Three are not settings: they make the kernel work.
settings() {
  lines=
  for file in "$root"/proc/sys/vm/*; do
    setting=${file##*/}
    case $setting in compact_memory | drop_caches | stat_refresh | '*') continue ;; esac
    if load "/proc/sys/vm/$setting"; then
      value=$(printf '%s' "$content" | tr '\t' ' ')
      lines="${lines}vm.$setting = $value
"
    else
      miss "/proc/sys/vm/$setting" 'it cannot be read'
    fi
  done
  content=$lines
  put sysctl
}

# pools NODE: the files below hugepages as one text
pools() {
  lines=
  for file in "$root$1"/hugepages/*/nr_hugepages "$root$1"/hugepages/*/free_hugepages \
    "$root$1"/hugepages/*/surplus_hugepages; do
    short=${file#"$root$1"/hugepages/}
    [ -e "$file" ] && load "$1/hugepages/$short" && lines="$lines$short:$content"
  done
  content=$lines
  [ -z "$lines" ] || put "${1#/}/hugepages"
}

# guest_name DIRECTORY: the name that a QEMU process was given
guest_name() {
  previous=
  tr '\000' '\n' <"$1/cmdline" 2>/dev/null | while IFS= read -r argument; do
    if [ "$previous" = -name ]; then
      argument=${argument#guest=}
      printf '%s' "${argument%%,*}"
      break
    fi
    previous=$argument
  done
}

# guest PID NAME
guest() {
  content=$2
  put "guests/$1/name"
  if command -v virsh >/dev/null 2>&1 && answer virsh -r dumpxml "$2"; then
    put "guests/$1/domain.xml"
  elif load "/run/libvirt/qemu/$2.xml" || load "/etc/libvirt/qemu/$2.xml"; then
    put "guests/$1/domain.xml"
  else
    miss "domain $2" 'neither virsh nor libvirt has its XML'
  fi
  take "/proc/$1/numa_maps" "guests/$1/numa_maps"
  take "/proc/$1/smaps_rollup" "guests/$1/smaps_rollup"
}

for file in zoneinfo buddyinfo pagetypeinfo meminfo vmstat version sys/kernel/hostname; do
  take "/proc/$file"
done
settings
take /sys/kernel/mm/transparent_hugepage/enabled
take /sys/kernel/mm/transparent_hugepage/defrag
for file in pages_to_scan scan_sleep_millisecs alloc_sleep_millisecs max_ptes_none; do
  take "/sys/kernel/mm/transparent_hugepage/khugepaged/$file"
done
take /sys/kernel/mm/lru_gen/enabled
for file in extfrag_index unusable_index; do
  take "/sys/kernel/debug/extfrag/$file"
done
for file in possible online has_normal_memory has_memory has_cpu; do
  take "/sys/devices/system/node/$file"
done
cells=
for path in "$root"/sys/devices/system/node/node[0-9]*; do
  node=${path#"$root"}
  [ -d "$path" ] || continue
  for file in meminfo numastat cpulist distance vmstat; do
    take "$node/$file"
  done
  pools "$node"
  cells="$cells ${node##*node}"
done
run numactl --hardware
run numastat
run numastat -m
run virsh -r capabilities
run virsh -r nodeinfo
run virsh -r freepages --all
run virsh -r freecell --all
run virsh -r nodememstats
if command -v virsh >/dev/null 2>&1; then
  for cell in $cells; do
    run virsh -r nodememstats --cell "$cell"
  done
fi
for file in "$root"/proc/[0-9]*/comm; do
  # A process may end meanwhile.
  program=$(cat "$file" 2>/dev/null) || continue
  case $program in qemu* | kvm) ;; *) continue ;; esac
  directory=${file%/comm}
  name=$(guest_name "$directory")
  [ -z "$name" ] || guest "${directory##*/}" "$name"
done
content=$missing
put unread
zeros 1024
