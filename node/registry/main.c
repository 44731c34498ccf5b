/* grapevine-registry: verifies an admin's email address, signs certificates, and does no more. */
#include <argp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "node/base/log.h"
#include "node/registry/commands.h"

const char *argp_program_version = "grapevine-registry " GV_VERSION;

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *usage;
        int (*run)(int argc, char **argv);
    } commands[] = {
        {"init", "grapevine-registry init", gv_command_init},
        {"serve", "grapevine-registry serve", gv_command_serve},
        {"descriptor", "grapevine-registry descriptor", gv_command_descriptor},
        {"show-descriptor", "grapevine-registry show-descriptor", gv_command_show},
        {"keys", "grapevine-registry keys", gv_command_keys},
        {"list", "grapevine-registry list", gv_command_list},
        {"revoke", "grapevine-registry revoke", gv_command_revoke},
        {"limits", "grapevine-registry limits", gv_command_limits},
        {"backup", "grapevine-registry backup", gv_command_backup},
        {"restore", "grapevine-registry restore", gv_command_restore},
        {"export", "grapevine-registry export", gv_command_export},
        {"forget", "grapevine-registry forget", gv_command_forget},
        {"invite", "grapevine-registry invite", gv_command_invite},
    };

    gv_log_open("grapevine-registry", GV_LOG_INFO);
    /* Each mail waits in a thread for its server: with libuv's four, a server at 50 ms takes 80 a
     * second. Before the first use; the admin's own word wins. */
    setenv("UV_THREADPOOL_SIZE", "32", 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is one more full disk */
    if (sodium_init() < 0) {
        fprintf(stderr, "grapevine-registry: libsodium does not start\n");
        return EX_OSERR;
    }
    if (argc < 2 || argv[1][0] == '-')
        return gv_command_serve(argc, argv);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        argv[1] = (char *)(uintptr_t)commands[i].usage;
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "grapevine-registry: %s: no such command; --help shows them\n", argv[1]);
    return EX_USAGE;
}
