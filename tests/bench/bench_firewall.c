/* bench_firewall SOCKET COUNT PID: a whole list of COUNT addresses for grapevine-firewall, in one
 * transaction; the same again with other times; single changes; and an empty list. Prints seconds
 * until the answer, and for the first the CPU seconds of the process PID. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/firewall_record.h"
#include "proto/buf.h"

#define SINGLES 21

static int line;
static uint32_t number;

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double cpu_of(const char *pid)
{
    char path[64], text[1024] = "";
    unsigned long user = 0, system = 0;

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(text, sizeof text, file))
        exit(1);
    fclose(file);
    const char *at = strrchr(text, ')');
    if (!at ||
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        exit(1);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void put(struct gv_buf *out, enum gv_firewall_op op, uint32_t address, uint32_t value)
{
    struct gv_firewall_record r = {.op = op, .number = value};
    uint8_t wire[GV_FIREWALL_RECORD];

    if (op == GV_FIREWALL_ADD) {
        /* Spread over 11.0.0.0 to 42.255.255.255, like strangers' addresses. */
        address = 0x0b000000u + address * 2654435761u % 0x20000000u;
        r.prefix = (struct gv_prefix){.family = GV_FAMILY_IPV4, .bits = 32};
        for (int i = 0; i < 4; i++)
            r.prefix.bytes[i] = (uint8_t)(address >> (24 - 8 * i));
    }
    gv_firewall_record_write(wire, &r);
    gv_buf_append(out, wire, sizeof wire);
}

/* Sends it with a COMMIT; returns the seconds until the answer. */
static double commit(struct gv_buf *out, uint32_t wanted)
{
    uint8_t wire[GV_FIREWALL_RECORD];
    struct gv_firewall_record done;

    put(out, GV_FIREWALL_COMMIT, 0, ++number);
    double begun = now();
    for (size_t at = 0; at < out->len;) {
        ssize_t n = write(line, out->data + at, out->len - at);
        if (n <= 0)
            exit(1);
        at += (size_t)n;
    }
    if (recv(line, wire, sizeof wire, MSG_WAITALL) != sizeof wire ||
        gv_firewall_record_read(&done, wire) != GV_OK || done.result != GV_FIREWALL_OK ||
        done.number != number || done.in_place != wanted) {
        fprintf(stderr, "bench_firewall: not done\n");
        exit(1);
    }
    gv_buf_clear(out);
    return now() - begun;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    double singles[SINGLES];
    struct gv_buf out;

    if (argc != 4 || strlen(argv[1]) >= sizeof address.sun_path)
        return 64;
    uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    line = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(line, (struct sockaddr *)&address, sizeof address) != 0)
        return 69;
    gv_buf_init(&out);
    put(&out, GV_FIREWALL_HELLO, 0, GV_FIREWALL_VERSION);
    for (uint32_t round = 0; round < 2; round++) {
        put(&out, GV_FIREWALL_BEGIN, 0, 0);
        for (uint32_t i = 0; i < count; i++)
            put(&out, GV_FIREWALL_ADD, i, 3000 + 600 * round);
        double cpu = cpu_of(argv[3]);
        printf("%s %.3f\n", round ? "again" : "whole", commit(&out, count));
        if (round == 0)
            printf("cpu %.2f\n", cpu_of(argv[3]) - cpu);
    }
    for (uint32_t i = 0; i < SINGLES; i++) {
        put(&out, GV_FIREWALL_ADD, count + i, 600);
        singles[i] = commit(&out, count + i + 1);
    }
    qsort(singles, SINGLES, sizeof *singles, compare);
    printf("single %.5f\n", singles[SINGLES / 2]);
    put(&out, GV_FIREWALL_BEGIN, 0, 0);
    printf("empty %.3f\n", commit(&out, 0));
    gv_buf_free(&out);
    return 0;
}
