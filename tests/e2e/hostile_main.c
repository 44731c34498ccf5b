#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <sodium.h>

#include "hostile.h"

static void usage(void)
{
    fprintf(stderr,
            "usage: hostile REGISTRY-FOLDER ADDRESS PORT WHAT\n"
            "  probe SAMPLES PACE-MS | taken SAMPLES PACE-MS | silent STRANGERS SECONDS | slow "
            "STRANGERS SECONDS |\n"
            "  handshake STRANGERS SECONDS | stay STRANGERS SECONDS | knock STRANGERS SECONDS |\n"
            "  proofs STRANGERS SECONDS |\n"
            "  newcomers MEMBERS | forged MESSAGES | flood SECONDS |\n"
            "  greedy | churn SECONDS\n");
    exit(64);
}

int main(int argc, char **argv)
{
    static struct lab lab;
    struct rlimit files;

    if (argc < 5 || sodium_init() < 0)
        usage();
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    lab_open(&lab, argv[1]);
    lab.target =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    if (inet_pton(AF_INET, argv[2], &lab.target.sin_addr) != 1)
        usage();
    const char *what = argv[4];
    unsigned first = argc > 5 ? (unsigned)atoi(argv[5]) : 0;
    unsigned second = argc > 6 ? (unsigned)atoi(argv[6]) : 0;
    if (strcmp(what, "probe") == 0 && second)
        return run_probe(&lab, first, second, true);
    if (strcmp(what, "taken") == 0 && second)
        return run_probe(&lab, first, second, false);
    if (strcmp(what, "silent") == 0 && second)
        return run_siege(&lab, SIEGE_SILENT, first, second);
    if (strcmp(what, "slow") == 0 && second)
        return run_siege(&lab, SIEGE_SLOW, first, second);
    if (strcmp(what, "handshake") == 0 && second)
        return run_siege(&lab, SIEGE_HANDSHAKE, first, second);
    if (strcmp(what, "stay") == 0 && second)
        return run_siege(&lab, SIEGE_STAY, first, second);
    if (strcmp(what, "knock") == 0 && second)
        return run_siege(&lab, SIEGE_KNOCK, first, second);
    if (strcmp(what, "proofs") == 0 && second)
        return run_siege(&lab, SIEGE_PROOFS, first, second);
    if (strcmp(what, "newcomers") == 0 && first)
        return run_newcomers(&lab, first);
    if (strcmp(what, "forged") == 0 && first)
        return run_forged(&lab, first);
    if (strcmp(what, "flood") == 0 && first)
        return run_flood(&lab, first);
    if (strcmp(what, "greedy") == 0)
        return run_greedy(&lab);
    if (strcmp(what, "churn") == 0 && first)
        return run_churn(&lab, first);
    usage();
}
