/* The command line of grapevine-sim. */
#ifndef GV_SIM_OPTIONS_H
#define GV_SIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/faults.h"
#include "sim/plant.h"

enum gv_sim_command {
    GV_SIM_RUN,    /* one seed */
    GV_SIM_SWARM,  /* many, each with faults of its own */
    GV_SIM_PLANTS, /* --plant list */
    GV_SIM_FAULTS  /* --faults help */
};

struct gv_sim_options {
    enum gv_sim_command command;
    size_t nodes;
    double hours;
    uint64_t seed, last_seed; /* swarm: from, to */
    double sightings;      /* per node and hour: addresses that fail here often enough to signal */
    struct gv_faults faults;
    bool seeded;           /* a seed was given; 0 is one */
    bool faults_given;     /* so was --faults, none perhaps */
    bool drawn;            /* the faults are those that each seed draws */
    enum gv_plant plant;
    bool real_crypto;
    bool public_only;      /* no keepers */
    bool known;            /* everybody knows everybody from the start */
    double mb_per_hour;    /* cap of any node's bytes, in and out; 0: none */
    size_t jobs;           /* swarm: at a time; 0: as many as there are processors */
    const char *json_path; /* "-": standard output; NULL: none */
};

/* Parses `grapevine-sim run|swarm ...`; on a wrong option prints what would be right and ends with
 * EX_USAGE. */
void gv_sim_options_parse(struct gv_sim_options *out, int argc, char **argv);

/* The command line that gives this run again, to the last digit. out holds GV_SIM_LINE. */
#define GV_SIM_LINE 1536
void gv_sim_options_line(char out[GV_SIM_LINE], const struct gv_sim_options *options);

#endif
