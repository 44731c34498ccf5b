#!/usr/bin/env bash
# The counters of the mail flow against pflogsumm, on the same generated logs, counter by counter;
# and against what the generator knows of them. Where pflogsumm is known to count otherwise (SPEC
# 10.7) the generator says by how much, so that the comparison stays exact. Needs pflogsumm, jq and
# python3. SEEDS (12) logs in each time format, MESSAGES (400) in each.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${GV_BIN:-$here/../../build/bin}
seeds=${SEEDS:-12} messages=${MESSAGES:-400}
for program in pflogsumm jq python3; do
    command -v $program >/dev/null || {
        echo "pflogsumm.sh: SKIPPED: $program is not installed (tests/packages.sh test)"
        exit 77
    }
done
scratch=$(mktemp -d /tmp/gv-pflogsumm.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
failures=0

# What `grapevine observe` counts, a name and a number a line.
ours() {
    TZ=UTC "$bin/grapevine" observe --counters --json --now 2026-12-31T00:00:00Z "$1" |
        jq -r 'del(.logins, .login_failures, .queue) | to_entries[] | "\(.key) \(.value)"'
}

# The same of the generator's object at a path.
known() {
    jq -r "$2 | del(.queue) | to_entries[] | \"\\(.key) \\(.value)\"" "$1"
}

# pflogsumm's grand totals by our names. It writes thousands (k) from 512 k on, and millions (m).
theirs() {
    TZ=UTC pflogsumm --detail 0 "$1" 2>"$scratch/complaints" | awk '
        $1 ~ /^[0-9]+[km]?$/ && /received$|delivered$|forwarded$|deferred|bounced$|rejected |reject warnings$|held$|discarded / {
            name = $2
            if ($2 == "reject") name = "reject_warnings"
            if ($2 == "bytes") name = "bytes_" $3
            print name, $1
            if (name == "deferred") { sub(/\(/, "", $3); print "deferrals", $3 + 0 }
        }'
}

shorten() { # numbers as pflogsumm writes them
    awk '{ if ($2 > 536870912) print $1, int($2 / 1048576) "m"
           else if ($2 > 524288) print $1, int($2 / 1024) "k"
           else print }'
}

same() { # WHAT WANTED GOT
    if ! diff "$2" "$3" >"$scratch/diff"; then
        echo "FAILED: $1 (< wanted, > counted)"
        cat "$scratch/diff"
        failures=$((failures + 1))
    fi
}

compared=0
for seed in $(seq 1 "$seeds"); do
    for form in rfc3164 iso; do
        for mood in tame hostile; do
            log=$scratch/$seed.$form.$mood
            python3 "$here/mail_flow_log.py" "$seed" "$messages" $form $mood >"$log" 2>"$log.json" || exit 1
            ours "$log" | sort >"$log.ours"
            known "$log.json" .truth | sort >"$log.truth"
            same "seed $seed, $form, $mood: the truth" "$log.truth" "$log.ours"
            TZ=UTC "$bin/grapevine" observe --counters --json --now 2026-12-31T00:00:00Z "$log" |
                jq -r '.queue | .messages, .oldest' >"$log.queue"
            jq -r '.truth.queue | .messages, .oldest' "$log.json" >"$log.wanted"
            same "seed $seed, $form, $mood: the queue" "$log.wanted" "$log.queue"
            [ $mood = tame ] || continue
            theirs "$log" | sort >"$log.theirs"
            known "$log.json" .pflogsumm | grep -vE '^(expired|reinjected|filtered) ' | shorten | sort >"$log.modelled"
            same "seed $seed, $form: pflogsumm" "$log.modelled" "$log.theirs"
            compared=$((compared + $(wc -l <"$log.theirs")))
        done
    done
done
echo "$((2 * seeds)) logs: $compared counters compared with pflogsumm; known differences in them:"
jq -s -r '[.[].differences | to_entries[]] | group_by(.key)[] | "  \(map(.value) | add) times: \(.[0].key)"' "$scratch"/*.tame.json
[ $failures -eq 0 ]
