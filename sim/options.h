/* The command line of grapevine-sim. */
#ifndef GV_SIM_OPTIONS_H
#define GV_SIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gv_sim_options {
    size_t nodes;
    double hours;
    uint64_t seed;
    double sightings;      /* per node and hour: addresses that fail here often enough to signal */
    const char *json_path; /* "-": standard output; NULL: none */
};

/* Parses `grapevine-sim run ...`; on a wrong option prints what would be right and ends with
 * EX_USAGE. */
void gv_sim_options_parse(struct gv_sim_options *out, int argc, char **argv);

#endif
