/* A stage for what a change of the lists, and the end of many locks at once, cost the loop: a real
 * core with many locked addresses, the feed, who waits for changes, bouncers and nftables, in a
 * loop of the test's own. From feed_stage_open on the core's clock goes as the real one. */
#ifndef GV_TESTS_HELPER_FEED_H
#define GV_TESTS_HELPER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "helper_host.h"
#include "node/serve/bouncer.h"
#include "node/serve/feed.h"

struct feed_turns {
    uint64_t longest_ns; /* processor time of the longest turn of the loop */
    unsigned busiest;    /* most changes of the listing in one turn */
    uint64_t changes, turns;
    uint64_t first_ms, last_ms; /* when the listing changed, unix */
};

extern struct host feed_host;
extern struct gv_feed *feed_stage_feed;
extern struct gv_bouncers *feed_stage_bouncers;
extern struct feed_turns feed_turns;

/* `count` addresses from 11.0.0.0 on are locked together, for an hour of which left_ms are left. */
void feed_stage_open(unsigned count, uint64_t left_ms);
void feed_stage_close(void);
struct gv_subject feed_stage_subject(unsigned number);
uint64_t feed_stage_unix_ms(void);
/* The core is given the command, and the feed and all who follow it are told, as grapevined does.
 */
void feed_stage_list(enum gv_command command, const char *prefix);
/* Turns of the loop until the listing and the bans are so many and nothing is left to be done.
 * False: they are not after so long. feed_turns counts from its beginning. */
bool feed_stage_run(size_t listed, uint64_t ms);
/* The body of a GET, by a bouncer with a key, of its API or a block list; malloc'd, terminated. The
 * loop turns meanwhile, and after each turn `meanwhile` is called with its number; NULL: nothing
 * is. NULL: there is no answer after 20 s. */
char *feed_stage_fetch(const char *path);
char *feed_stage_fetch_while(const char *path, void (*meanwhile)(unsigned turn));
/* What the firewall's helper holds by the records that it was sent: entries, ranges, allowed ones.
 */
struct feed_helper {
    size_t entries, ranges, allowed;
    unsigned commits;
};
struct feed_helper feed_stage_helper(void);

#endif
