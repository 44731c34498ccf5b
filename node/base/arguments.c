#include "node/base/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

void gv_arguments(const struct argp *argp, int argc, char **argv, unsigned flags, void *input)
{
    argp_err_exit_status = EX_USAGE;
    error_t error = argp_parse(argp, argc, argv, flags, NULL, input);
    if (error == 0)
        return;
    fprintf(stderr, "%s: %s\n", argv[0] ? argv[0] : "grapevine", strerror(error));
    exit(EX_OSERR);
}
