/* The honest world of the attack table, with ground truth: members, addresses, who logs in from
 * where, who is attacked by whom, second by second (SPEC 20.1). It is drawn from the seed alone, so
 * that every rule is tried on the very same trace. */
#ifndef GV_SIM_ACTORS_SCENE_H
#define GV_SIM_ACTORS_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/subject.h"

#define GV_DAY_MIN     1440u
#define GV_SCENE_DAY_S 86400u

/* Every number of the workload can be set: --set NAME=NUMBER. */
#define GV_SCENE_MAP(X)                                                                            \
    X(attackers_milli, 200, 100000, "thousandths of a new attacking address per node and hour")    \
    X(one_victim_percent, 80, 100, "attackers that visit one node only")                           \
    X(life_hours, 30, 2000, "mean life of an attacking address")                                   \
    X(slow_permille, 10, 1000, "attackers that try once per victim and day")                       \
    X(slow_days, 20, 400, "mean life of those")                                                    \
    X(unknown_percent, 70, 100, "attacking visits that try an account that does not exist")        \
    X(typo_unknown_percent, 10, 100, "honest failures likewise")                                   \
    X(mistype_permille, 30, 1000, "honest logins whose password is mistyped first")                \
    X(providers, 50, 1000, "addresses that users of many nodes share")                             \
    X(provider_percent, 30, 100, "nodes whose users come through one of them")                     \
    X(clients, 500, 10000, "addresses of one household or office")                                 \
    X(renumbered_percent, 20, 100, "of them, those that change every day; attackers likewise")     \
    X(cgnat_percent, 4, 100, "attackers behind an address that users share")                       \
    X(known_net_percent, 10, 100, "victims whose users come from the attacker's network")          \
    X(ipv6_percent, 20, 100, "subjects that are an IPv6 /64")                                      \
    X(young_percent, 15, 100, "nodes that joined within the last 75 days")                         \
    X(delay_s, 2, 86400, "seconds until everybody holds a signal")                                 \
    X(footholds, 10, 1000, "provider addresses that framing guesses from")                         \
    X(foothold_nodes, 20, 10000, "nodes a day at each, besides those that are pretrusted")

struct gv_scene_numbers {
#define GV_SCENE_FIELD(name, standard, most, text) uint32_t name;
    GV_SCENE_MAP(GV_SCENE_FIELD)
#undef GV_SCENE_FIELD
};
void gv_scene_standard(struct gv_scene_numbers *out);
/* Sets one by its name. Returns false for an unknown name or a number out of range. */
bool gv_scene_set(struct gv_scene_numbers *numbers, const char *name, uint64_t value);
bool gv_scene_help(size_t index, char line[160]); /* false behind the last */

enum gv_address_kind {
    GV_ADDRESS_BOT,      /* an attacker's */
    GV_ADDRESS_PROVIDER, /* shared by users of many nodes */
    GV_ADDRESS_CLIENT,   /* one household's */
    GV_ADDRESS_SPRAY,    /* an attacker's that tries once a node */
    GV_ADDRESS_BURNT,    /* an attacker's, given away to earn standing */
    GV_ADDRESS_SIBLING   /* of the same network as another; logins only */
};

struct gv_address_row {
    struct gv_subject subject;
    uint8_t kind; /* enum gv_address_kind */
    bool guarded; /* a bot of the very attacker who has hostile members */
};

/* An instance as the registry certified it. */
struct gv_member {
    uint32_t owner;
    uint64_t group;
    uint32_t since_min; /* minutes since 1970 */
    bool pretrusted;    /* one in twenty honest members, for rules that need such */
};

enum gv_moment_kind {
    GV_MOMENT_VISIT,   /* n wrong guesses by an attacker */
    GV_MOMENT_LOGIN,   /* a legitimate login; counted */
    GV_MOMENT_QUIET,   /* likewise, n days ago, of an imported log; not counted */
    GV_MOMENT_TYPO,    /* a user who fails once and gives up; not counted */
    GV_MOMENT_BROKEN,  /* a user with the right password at a login backend that is broken */
    GV_MOMENT_SAY,     /* a hostile member signals */
    GV_MOMENT_RETRACT, /* and takes back what it said of this subject */
    GV_MOMENT_REPEAT,  /* and sends again a signal of others that was good a day ago */
};

enum gv_moment_flag {
    GV_MOMENT_UNKNOWN = 1 << 0,  /* the account does not exist */
    GV_MOMENT_MISTYPED = 1 << 1, /* LOGIN: wrong first, then right */
    GV_MOMENT_SHARED = 1 << 2,   /* LOGIN: from an address that an attacker has or had */
    GV_MOMENT_TWICE = 1 << 3,    /* SAY: and something else under the same number */
};

struct gv_moment {
    uint32_t at_s; /* since the scene's first second */
    uint32_t subject;
    uint32_t account; /* VISIT: a draw for its accounts; SAY: minutes that it is back-dated by */
    uint16_t node;    /* of members */
    uint8_t kind;     /* enum gv_moment_kind */
    uint8_t n, flags; /* flags: enum gv_moment_flag */
};

struct gv_moments {
    struct gv_moment *at; /* owned */
    size_t count, cap;
};
void gv_moments_add(struct gv_moments *moments, struct gv_moment moment);
void gv_moments_sort(struct gv_moments *moments); /* by time; of equal times, as they were added */
void gv_moments_free(struct gv_moments *moments);

struct gv_scene {
    struct gv_scene_numbers numbers;
    uint64_t seed;
    uint32_t nodes, days, scored_days;
    uint32_t start_min;               /* of day 0, minutes since 1970 */
    uint32_t genesis_min;             /* 120 days before the days that are scored */
    uint32_t end_s, score_s;          /* since day 0 */
    struct gv_address_row *addresses; /* owned */
    size_t address_count, address_cap;
    struct gv_member *members; /* owned; the honest ones, `nodes` of them */
    uint32_t pretrusted;       /* the first so many of them */
    struct gv_moments moments;
    uint32_t *client_first; /* owned: address of each client on day 0 */
    bool *client_moves;     /* owned: the next address is the next day's */
    uint64_t attackers;
};

/* nodes 10 to 10000, days 3 to 365. */
void gv_scene_open(struct gv_scene *out, const struct gv_scene_numbers *numbers, uint32_t nodes,
                   uint32_t days, uint64_t seed);
void gv_scene_close(struct gv_scene *scene);

/* Appends an address in a network of its own; returns its number. */
uint32_t gv_scene_address(struct gv_scene *scene, enum gv_address_kind kind);
/* Appends one in the same network (IPv4 /24, IPv6 /48) as another; `which` tells them apart. */
uint32_t gv_scene_sibling(struct gv_scene *scene, uint32_t address, enum gv_address_kind kind,
                          uint32_t which);
/* The address that client c has on this day. */
uint32_t gv_scene_client(const struct gv_scene *scene, uint32_t client, uint32_t day);

/* scene_bots.c, scene_users.c: fill in moments. Internal to scene*.c. */
void gv_scene_draw_attackers(struct gv_scene *scene);
void gv_scene_draw_users(struct gv_scene *scene);
/* Logins of the past that make an address clean at a node, just before at_s. */
void gv_scene_make_clean(struct gv_scene *scene, uint32_t address, uint32_t node, uint32_t at_s);

#endif
