/* The command line (argp). */
#ifndef GV_NODE_BASE_ARGUMENTS_H
#define GV_NODE_BASE_ARGUMENTS_H

#include <argp.h>

/* argp_parse; what is wrong in it ends the program with EX_USAGE, and memory that runs out with
 * EX_OSERR: half a command line is none. */
void gv_arguments(const struct argp *argp, int argc, char **argv, unsigned flags, void *input);

#endif
