/* `bench_bouncer [BANS] [BOUNCERS]`: what the bouncers' API costs with so many bans: memory of the
 * bans, a first answer, a hundred of them at once, a question about one address, a poll that finds
 * nothing new. CPU of the whole process, the clients' threads included; the client only counts
 * bytes. */
#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_bouncer.h"
#include "helper_tcp.h"

static double clock_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t fetch(const char *path)
{
    static __thread char text[1 << 16];
    int fd = tcp_connect(bouncer_port());
    size_t total = 0;
    ssize_t n;

    int len =
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Api-Key: %s\r\n\r\n",
                 path, bouncer_key);
    tcp_send(fd, text, (size_t)len);
    while ((n = recv(fd, text, sizeof text, 0)) > 0)
        total += (size_t)n;
    close(fd);
    return total;
}

static void *start_up(void *context)
{
    *(size_t *)context = fetch("/v1/decisions/stream?startup=true");
    return NULL;
}

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static size_t resident_kb(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%*s %ld", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return (size_t)pages * 4;
}

int main(int argc, char **argv)
{
    unsigned bans = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
    unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
    pthread_t threads[1024];
    size_t sizes[1024];

    if (count < 1 || count > 1024)
        return 64;
    bouncer_set_up(NULL);
    size_t before = in_use();
    bouncer_fill(bans);
    printf("%u bans: %zu bytes each\n", bans, (in_use() - before) / bans);

    double wall = clock_of(CLOCK_MONOTONIC), cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    size_t size = fetch("/v1/decisions/stream?startup=true");
    printf("one first answer: %zu bytes, %.3f s, %.3f CPU s\n", size,
           clock_of(CLOCK_MONOTONIC) - wall, clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu);

    size_t resident = resident_kb(), peak = 0;
    wall = clock_of(CLOCK_MONOTONIC);
    cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, start_up, &sizes[i]);
    double worst = 0;
    for (int i = 0; i < 20; i++) { /* somebody else meanwhile */
        double begin = clock_of(CLOCK_MONOTONIC);
        fetch("/health");
        worst =
            clock_of(CLOCK_MONOTONIC) - begin > worst ? clock_of(CLOCK_MONOTONIC) - begin : worst;
        peak = resident_kb() > peak ? resident_kb() : peak;
        usleep(20000);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("%u at once: %.2f s, %.2f CPU s, %zu KB more resident; another's question at worst %.0f "
           "ms\n",
           count, clock_of(CLOCK_MONOTONIC) - wall, clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu,
           peak > resident ? peak - resident : 0, worst * 1000);

    static const struct {
        const char *name, *path;
    } small[] = {{"a poll with nothing new", "/v1/decisions/stream"},
                 {"a question about one address", "/v1/decisions?ip=45.0.1.7"},
                 {"the same, not banned", "/v1/decisions?ip=46.0.1.7"}};
    for (size_t i = 0; i < 3; i++) {
        cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        for (int n = 0; n < 2000; n++)
            fetch(small[i].path);
        printf("%s: %.0f us CPU, connection and client included\n", small[i].name,
               (clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 2000 * 1e6);
    }
    bouncer_tear_down(NULL);
    return 0;
}
