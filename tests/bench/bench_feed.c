/* `bench_feed [SUBJECTS] [TOGETHER]`: what holds up the loop when many subjects are decided at
 * once, with 200,000 of them listed, told to bouncers and to the firewall's helper: processor time
 * of the longest turn of the loop, and how long it took until all had followed. And how long after
 * their end 50,000 locks that end together stayed listed. Where that is allowed, before all else
 * that the machine does. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "first.h"
#include "helper_feed.h"

static void need(bool done, const char *what)
{
    if (done)
        return;
    fprintf(stderr, "bench_feed: %s: not within a minute\n", what);
    exit(1);
}

static void say(const char *what, uint64_t since_ms)
{
    printf("%s: longest turn %.2f ms of processor time, %llu turns, done after %llu ms\n", what,
           (double)feed_turns.longest_ns / 1e6, (unsigned long long)feed_turns.turns,
           (unsigned long long)(feed_stage_unix_ms() - since_ms));
}

static void turn(const char *what, size_t listed, uint64_t since_ms)
{
    need(feed_stage_run(listed, 60000), what);
    say(what, since_ms);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 200000;
    unsigned together = argc > 2 ? (unsigned)atoi(argv[2]) : 50000;
    unsigned in_range = count < 65536 ? count : 65536;
    bool first;
    uint64_t now;

    feed_stage_open(count, 1800000);
    first = go_first(true);
    printf("%u subjects; %s; %.1f bytes a subject for listing and ends\n", count,
           first ? "before all else" : "beside whatever else runs",
           (double)gv_feed_bytes(feed_stage_feed) / count);
    now = feed_stage_unix_ms();
    turn("the whole list told to the firewall", count, now);
    now = feed_stage_unix_ms();
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.0.7");
    turn("one address allowed", count - 1, now);
    now = feed_stage_unix_ms();
    feed_stage_list(GV_COMMAND_UNLIST, "11.0.0.7");
    turn("and not any more", count, now);
    now = feed_stage_unix_ms();
    feed_stage_list(GV_COMMAND_ALLOW, "11.0.0.0/16");
    turn("a range of 65,536 listed ones allowed", count - in_range, now);
    now = feed_stage_unix_ms();
    feed_stage_list(GV_COMMAND_UNLIST, "11.0.0.0/16");
    turn("and not any more", count, now);
    now = feed_stage_unix_ms();
    gv_feed_all(feed_stage_feed);
    turn("everything decided anew", count, now);
    go_first(false);
    feed_stage_close();

    feed_stage_open(together, 3000);
    uint64_t end = feed_stage_unix_ms() / 1000 * 1000 + 3000;
    go_first(true);
    need(feed_stage_run(together, 60000), "the firewall");
    need(feed_stage_run(0, 60000), "the end of all");
    printf(
        "%u locks that end together: the last is off %lld ms after its end, longest turn %.2f ms "
        "of processor time\n",
        together, (long long)(feed_turns.last_ms - end), (double)feed_turns.longest_ns / 1e6);
    feed_stage_close();
    return 0;
}
