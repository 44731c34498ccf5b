#!/usr/bin/env bash
# Two registry processes with one PostgreSQL database behind a balancer that sends each request to the next:
# nodes enrol, one log and one head are seen at both, and when one process is killed the other goes on.
# shellcheck disable=SC2317 # functions that are called by name
set -uo pipefail
NODES=2
# shellcheck source=tests/e2e/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs jq curl python3
initdb=$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort | tail -n 1)
[[ -n $initdb ]] || {
    echo "registry_balancer.sh: PostgreSQL is missing: skipped"
    exit 77
}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
find_port 16820
first=127.0.0.1:$((port + 2)) second=127.0.0.2:$((port + 2))

who=()
mkdir "$scratch/pg"
if [[ $EUID == 0 ]]; then
    who=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    chmod 711 "$scratch"
    chown 65534:65534 "$scratch/pg"
fi
"${who[@]}" "$initdb" -D "$scratch/pg/data" -A trust -U grapevine --no-sync >/dev/null || die "initdb"
"${who[@]}" "${initdb%initdb}postgres" -D "$scratch/pg/data" -k "$scratch/pg" -c listen_addresses= >"$scratch/pg.log" 2>&1 &
pids+=($!)
psql() { "${initdb%initdb}psql" -XAtq -h "$scratch/pg" -U grapevine postgres -c "$1" 2>/dev/null; }
takes_questions() { [[ $(psql 'SELECT 1') == 1 ]]; }
wait_for 20 "PostgreSQL" takes_questions

make_registry shared
sed -i "s,^data = .*,&\ndatabase = postgresql://grapevine@/postgres?host=$scratch/pg\ntrusted_proxy = 127.0.0.1,; s/^listen = .*/listen = $first/" \
    "$scratch/registry/registry.conf"
cp -a "$scratch/registry" "$scratch/registry2"
sed -i "s,^data = .*,data = $scratch/registry2,; s/^listen = .*/listen = $second/" "$scratch/registry2/registry.conf"
serve() { # FOLDER
    "$bin/grapevine-registry" serve --config "$scratch/$1/registry.conf" >>"$scratch/$1.log" 2>&1 &
    pids+=($!)
}
is_up() { wait_for 10 "$1" listening "${1%:*}" "${1#*:}"; }
# At once: each would make the tables.
serve registry
first_pid=${pids[-1]}
serve registry2
is_up "$first"
is_up "$second"
python3 "$here/balancer.py" $((port + 1)) "$first" "$second" >"$scratch/requests" 2>"$scratch/balancer.log" &
pids+=($!)
wait_for 10 "the balancer" listening 127.0.0.1 $((port + 1))

start_mesh
for server in "$first" "$second"; do
    (($(grep -c "^$server GET" "$scratch/requests") > 0 && $(grep -c "^$server POST" "$scratch/requests") > 0)) ||
        fail "$server was not asked: $(<"$scratch/requests")"
done
for folder in registry registry2; do
    [[ $("$bin/grapevine-registry" list --json --data "$scratch/$folder" | jq -r .email | sort | tr '\n' ' ') == 'admin@owner1.test admin@owner2.test ' ]] ||
        fail "$folder lists $("$bin/grapevine-registry" list --data "$scratch/$folder")"
done
[[ $(psql 'SELECT count(*) FROM log') == 2 ]] || fail "the log has $(psql 'SELECT count(*) FROM log') entries"
head_of() { curl -fsS -H "X-Forwarded-For: 127.1.0.1" "http://$1/v1/log/head" | sha256sum; }
[[ $(head_of "$first") == "$(head_of "$second")" ]] || fail "they show two heads"

kill -KILL "$first_pid"
wait "$first_pid" 2>/dev/null
NODES=3
start_node 3
enrol 3
wait_for 30 "node 3 to find the others" has_peers 3
serve registry
is_up "$first"
[[ $(psql 'SELECT count(*) FROM instance') == 3 ]] || fail "$(psql 'SELECT count(*) FROM instance') instances"
[[ $(head_of "$first") == "$(head_of "$second")" ]] || fail "they show two heads after a restart"

# All of it is lost, and comes back: the database by PostgreSQL's own tools, the rest by ours.
"$bin/grapevine-registry" backup "$scratch/copy" --data "$scratch/registry" >/dev/null 2>"$scratch/said" || fail "backup"
grep -q pg_dump "$scratch/said" || fail "backup does not name pg_dump: $(<"$scratch/said")"
"${initdb%initdb}pg_dump" -h "$scratch/pg" -U grapevine postgres >"$scratch/dump" || fail "pg_dump"
for pid in "${pids[@]: -1}" "${pids[2]}"; do kill "$pid" && wait "$pid"; done
psql 'DROP SCHEMA public CASCADE; CREATE SCHEMA public' >/dev/null
"${initdb%initdb}psql" -Xq -h "$scratch/pg" -U grapevine postgres <"$scratch/dump" >/dev/null || fail "the dump"
"$bin/grapevine-registry" restore "$scratch/copy" --data "$scratch/again" >"$scratch/said" 2>&1 || fail "restore: $(<"$scratch/said")"
grep -q '3 instances, 3 with an email address' "$scratch/said" || fail "restored: $(<"$scratch/said")"
for n in 1 2 3; do
    [[ ! -e $scratch/node$n/registry-finding ]] || fail "node $n accuses it: $(<"$scratch/node$n/registry-finding")"
done
[[ $failures == 0 ]] && echo "registry balancer: all as it should be ($(wc -l <"$scratch/requests") requests)"
exit $((failures > 0))
