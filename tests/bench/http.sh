#!/usr/bin/env bash
# Verdicts over HTTP: /api/v1/verdict of a node, with the token, asked by wrk over 16 kept
# connections on loopback, one request at a time on each; beside nginx with one worker that answers
# the same bytes without a thought. Requests per second of the server's own processor time (one core
# each), median of five turns that take turns; then 16 requests in one go (pipelined); then one at a time
# about addresses at random, of which half are among the HTTP_HELD (200,000) that the node holds, with
# nginx asked for the same paths: to make each request up takes the client longer, so that both servers
# find fewer at a time. BENCH_STRICT=yes: a missed limit is an error. HTTP_SECONDS (3) a turn.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${GV_BIN:-build/bin}
seconds=${HTTP_SECONDS:-3}
[ -x "$bin/grapevined" ] || {
    echo "http.sh: build first: cmake -S . -B build && cmake --build build" >&2
    exit 69
}
command -v wrk >/dev/null || {
    echo "http.sh: SKIPPED: wrk is not installed (tests/packages.sh full)"
    exit 77
}
# shellcheck source=tests/bench/servers.bash
. tests/bench/servers.bash
# Installed, it would begin to serve: where it is not, the program alone is taken out of its package.
nginx=$(command -v nginx || echo /usr/sbin/nginx)
if [ ! -x "$nginx" ]; then
    nginx=$scratch/package/usr/sbin/nginx
    (cd "$scratch" && timeout 60 apt-get download nginx >/dev/null 2>&1 && dpkg-deb -x nginx_*.deb package) || {
        echo "http.sh: SKIPPED: nginx is neither installed nor to be had"
        exit 77
    }
fi
port=18729
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
while taken $port || taken $((port + 1)); do port=$((port + 10)); done

mkdir -m 700 "$scratch/data"
cat >"$scratch/node.conf" <<CONF
[node]
data = $scratch/data
listen =
$([[ $EUID != 0 ]] || echo "user = root")
[log]
file = $scratch/mail.log
timezone = UTC
[http]
listen = 127.0.0.1:$port
CONF
touch "$scratch/mail.log"
"$bin/grapevined" --config "$scratch/node.conf" 2>"$scratch/node.log" &
ours=$!
pids+=("$ours")
for _ in $(seq 100); do
    taken $port && break
    sleep 0.1
done
token=$("$bin/grapevine" --config "$scratch/node.conf" token)
path='/api/v1/verdict?addr=192.0.2.1'
answer=$(curl -s -H "Authorization: Bearer $token" "http://127.0.0.1:$port$path")

cat >"$scratch/nginx.conf" <<CONF
worker_processes 1;
daemon off;
pid $scratch/nginx.pid;
error_log $scratch/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $scratch/nginx.body;
    proxy_temp_path $scratch/nginx.proxy;
    fastcgi_temp_path $scratch/nginx.fastcgi;
    uwsgi_temp_path $scratch/nginx.uwsgi;
    scgi_temp_path $scratch/nginx.scgi;
    keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:$((port + 1));
        location / {
            default_type application/json;
            add_header X-Content-Type-Options nosniff;
            add_header Cache-Control no-store;
            return 200 '$answer';
        }
    }
}
CONF
"$nginx" -p "$scratch" -c "$scratch/nginx.conf" 2>"$scratch/nginx.err" &
pids+=($!)
for _ in $(seq 100); do
    taken $((port + 1)) && break
    sleep 0.1
done
theirs=$(pgrep -P "${pids[1]}") || {
    echo "http.sh: nginx does not start: $(head -n 1 "$scratch/nginx.err")" >&2
    exit 70
}
[ "$(curl -s "http://127.0.0.1:$((port + 1))$path")" = "$answer" ] || {
    echo "http.sh: nginx does not answer the same" >&2
    exit 70
}

cat >"$scratch/pipeline.lua" <<LUA
init = function()
   wrk.headers["Authorization"] = "Bearer $token"
   request_text = string.rep(wrk.format(nil, "$path"), 16)
end
request = function() return request_text end
LUA

on_cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f\n", n }'; } # ns
one() { # PID PORT WRK'S...: requests per second of its processor time, and of the wall
    local before after
    before=$(on_cpu "$1")
    wrk -t1 -c16 -d"$seconds" -H "Authorization: Bearer $token" "${@:3}" "http://127.0.0.1:$2$path" \
        >"$scratch/wrk" 2>&1
    after=$(on_cpu "$1")
    ! grep -q 'Non-2xx\|Socket errors' "$scratch/wrk" || {
        cat "$scratch/wrk" >&2
        exit 70
    }
    awk -v ns=$((after - before)) '/ requests in / { n = $1 } /^Requests\/sec/ { wall = $2 }
        END { printf "%.0f %.0f\n", n / ns * 1e9, wall }' "$scratch/wrk"
}
median() { cut -d' ' -f1 "$1" | sort -n | sed -n 3p; }
held=${HTTP_HELD:-200000}
ask() { "$bin/grapevine" --config "$scratch/node.conf" "$@"; }
cat >"$scratch/random.lua" <<LUA
request = function()
   local i = math.random(0, 2 * $held - 1)
   return wrk.format("GET", string.format("/api/v1/verdict?addr=11.%d.%d.%d", math.floor(i / 65536), math.floor(i / 256) % 256, i % 256))
end
LUA
hold() { # every third of them is locked
    awk -v n="$held" -v t="$(date -u +%Y-%m-%dT%H:%M:%S)+00:00" 'BEGIN { for (i = 0; i < n; i++)
        printf "%s mail dovecot: imap-login: Disconnected (auth failed, %d attempts in 9 secs): user=<u%d>, method=PLAIN, rip=11.%d.%d.%d, lip=192.0.2.1, session=<s%d>\n",
            t, i % 3 ? 1 : 5, i, i / 65536, i / 256 % 256, i % 256, i }' >>"$scratch/mail.log"
    for _ in $(seq 300); do
        [ "$(ask status --json | jq .enforcement.refused)" -lt $(((held + 2) / 3)) ] || return 0
        sleep 1
    done
    echo "http.sh: the node does not hold $held addresses" >&2
    exit 70
}
for how in single pipelined random; do
    more=()
    [ $how != pipelined ] || more=(-s "$scratch/pipeline.lua")
    [ $how != random ] || {
        hold
        more=(-s "$scratch/random.lua")
    }
    for _ in 1 2 3 4 5; do
        one "$ours" "$port" "${more[@]}" >>"$scratch/$how.ours"
        one "$theirs" $((port + 1)) "${more[@]}" >>"$scratch/$how.theirs"
    done
    for who in ours theirs; do
        echo "$how, $who: per CPU second $(cut -d' ' -f1 "$scratch/$how.$who" | xargs); on the wall $(cut -d' ' -f2 "$scratch/$how.$who" | xargs)"
    done
    awk -v how=$how -v a="$(median "$scratch/$how.ours")" -v b="$(median "$scratch/$how.theirs")" 'BEGIN {
        name = how == "single" ? "http" : "http_" how
        printf "%s: ours %d, peer %d lookups per CPU second (nginx, a fixed answer), ratio %.2f\n", name, a, b, a / b }'
done
figure=$(median "$scratch/single.ours")
word=$([ "$figure" -ge 100000 ] && echo met || echo missed)
# Seven tenths of it are TCP on loopback, which is the kernel's for whoever serves.
echo "limit: lookups per second of one core, one at a time on each of 16 connections, at least 100000: $word ($figure; pipelined $(median "$scratch/pipelined.ours"), at random with $held held $(median "$scratch/random.ours"))"
[ "$word" = met ] || [ "${BENCH_STRICT:-no}" != yes ]
