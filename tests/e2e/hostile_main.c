#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <sodium.h>

#include "hostile.h"
#include "node/base/keyfile.h"
#include "node/registry/registrar.h"

static void usage(void)
{
    fprintf(stderr, "usage: hostile REGISTRY-FOLDER ADDRESS PORT WHAT\n"
                    "  probe SAMPLES PACE-MS | taken SAMPLES PACE-MS | silent STRANGERS SECONDS | slow STRANGERS SECONDS |\n"
                    "  handshake STRANGERS SECONDS | stay STRANGERS SECONDS | knock STRANGERS SECONDS |\n"
                    "  proofs STRANGERS SECONDS |\n"
                    "  newcomers MEMBERS | forged MESSAGES | flood SECONDS |\n"
                    "  greedy | churn SECONDS\n");
    exit(64);
}

static void lab_open(struct lab *lab, const char *folder, const char *address, const char *port)
{
    struct network *network = &lab->network;
    uint8_t secret[GV_SECRET_LEN];
    struct gv_identity registry;
    struct gv_text error = {""};
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, GV_FILE_DESCRIPTOR);
    gv_buf_init(&network->wire);
    if (gv_descriptor_read(&network->descriptor, &network->wire, path, &error) != 0) {
        fprintf(stderr, "hostile: %s\n", error.text);
        exit(1);
    }
    snprintf(path, sizeof path, "%s/%s", folder, GV_FILE_REGISTRY_KEY);
    if (gv_keyfile_read(secret, path, &error) != 0) {
        fprintf(stderr, "hostile: %s\n", error.text);
        exit(1);
    }
    gv_identity_from_secret(&registry, secret);
    memcpy(network->registry_secret, registry.sign_secret, sizeof network->registry_secret);
    lab->target = (struct sockaddr_in){.sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, address, &lab->target.sin_addr) != 1)
        usage();
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
    lab_open(&lab, argv[1], argv[2], argv[3]);
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
