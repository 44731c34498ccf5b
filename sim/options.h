/* The command line of grapevine-sim. */
#ifndef GV_SIM_OPTIONS_H
#define GV_SIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/faults.h"
#include "sim/plant.h"

enum gv_sim_command {
    GV_SIM_RUN,      /* one seed */
    GV_SIM_SWARM,    /* many, each with faults of its own */
    GV_SIM_REPLAY,   /* what a report tells of, once more */
    GV_SIM_MINIMISE, /* a run that fails, made as small as it can be */
    GV_SIM_TRACE,    /* a run to read */
    GV_SIM_EXPLAIN,  /* one node at one moment */
    GV_SIM_PLANTS,   /* --plant list */
    GV_SIM_FAULTS,   /* --faults help */
    GV_SIM_SCENARIO  /* --scenario help */
};

struct gv_sim_options {
    enum gv_sim_command command;
    size_t nodes;
    double hours;
    uint64_t seed, last_seed; /* swarm: from, to */
    double sightings;      /* per node and hour: addresses that fail here often enough to signal */
    double attackers;      /* an hour, that share these sightings; 0: as their victims are drawn */
    double attackers_most; /* an hour: who visits several visits more instead; 0: no limit */
    size_t behind_nat, offline; /* percent of the nodes */
    size_t networks;            /* that they lie in, for latency; 0: each pair is drawn alike */
    struct gv_faults faults;
    bool seeded;       /* a seed was given; 0 is one */
    bool faults_given; /* so was --faults, none perhaps */
    bool drawn;        /* the faults are those that each seed draws */
    enum gv_plant plant;
    bool real_crypto;
    bool public_only;      /* no keepers */
    bool known;            /* everybody knows everybody from the start */
    bool apart;            /* cores share nothing; no option of the command line: for comparing */
    double mb_per_hour;    /* cap of any node's bytes, in and out; 0: none */
    size_t jobs;           /* swarm: at a time; 0: as many as there are processors */
    size_t tries;          /* minimise: runs at most */
    const char *json_path; /* "-": standard output; NULL: none */
    const char *html_path; /* NULL: none */
    const char *report;    /* replay: the file that is to be repeated */
    size_t node;           /* trace, explain: this one alone; SIZE_MAX: all */
    double from_s, to_s;   /* trace: between these alone; explain: to_s is the moment */
    bool all;              /* trace: connections, bytes and rows, too */
};

/* Parses the command line; on a wrong option prints what would be right and ends with EX_USAGE, on
 * a wrong scenario with EX_CONFIG. */
void gv_sim_options_parse(struct gv_sim_options *out, int argc, char **argv);

/* Reads the words of a line as gv_sim_options_line gives it. False: it is none. */
bool gv_sim_options_read(struct gv_sim_options *out, const char *line);

/* The command line that gives this run again, to the last digit. out holds GV_SIM_LINE. */
#define GV_SIM_LINE 1536
void gv_sim_options_line(char out[GV_SIM_LINE], const struct gv_sim_options *options);

#endif
