/* `grapevine observe`: what would be learnt from a log. Sends nothing, keeps nothing. (SPEC 10.6)
 */
#ifndef GV_CLI_OBSERVE_H
#define GV_CLI_OBSERVE_H

/* argv[0] is "observe". Returns an exit status of sysexits.h: 0, EX_USAGE, EX_NOINPUT, EX_IOERR,
 * EX_OSERR. */
int gv_cli_observe(int argc, char **argv);

#endif
