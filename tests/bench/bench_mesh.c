/* The publishers of mesh.sh: MEMBERS members with certificates of the lab's registry, each with a
 * session to one of the real nodes 127.1.0.1 to 127.NODES.0.1. For each line "MESSAGES RATE VOTES"
 * on standard input so many messages are published, RATE a second, by one member after the other:
 * the signed votes of so many owners on one address, 113 bytes each as records. For each message a
 * line "ADDRESS MICROSECONDS NODE": when it was handed to which node, by the steady clock; then
 * "done". */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "crypto/error.h"
#include "tests/e2e/hostile.h"

#define MEMBERS_MAX 64u
#define AUTHORS     12u /* of the votes: the quota is 32 an hour of each */
#define ALL_TREES   0xff

static struct member members[MEMBERS_MAX], authors[AUTHORS];
static unsigned at_node[MEMBERS_MAX]; /* of a member, from 1 */
static unsigned member_count, published, said;
static unsigned nodes, port;

/* Nothing is to be spread to a publisher: the nodes are what is measured. */
static void want_nothing(struct member *member)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_prune(&message, ALL_TREES);
    if (!member_say(member, &message))
        die("a publisher's session");
    gv_buf_free(&message);
}

static void hand_certificates(struct member *member)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_records_start(&message, AUTHORS);
    for (unsigned i = 0; i < AUTHORS; i++) {
        struct gv_buf record = certificate_record(&authors[i].puppet);
        gv_message_record(&message, record.data, record.len);
        gv_buf_free(&record);
    }
    if (!member_say(member, &message))
        die("a publisher's session");
    gv_buf_free(&message);
}

static bool join_at(const struct lab *lab, unsigned i, unsigned node)
{
    struct lab here = *lab;
    struct sockaddr_in source = source_of_number(200, i);

    here.target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    here.target.sin_addr.s_addr = htonl(127u << 24 | node << 16 | 1);
    at_node[i] = node;
    return member_join(&members[i], &here, &source, 0);
}

/* A node that has peers enough sends one on (GOODBYE 2): then the next node has him. */
static void join(const struct lab *lab, unsigned i, unsigned node)
{
    for (unsigned tries = 0; tries < nodes; tries++, node = node % nodes + 1) {
        if (!join_at(lab, i, node))
            continue;
        want_nothing(&members[i]);
        return;
    }
    fprintf(stderr, "bench_mesh: no node lets a member in\n");
    exit(1);
}

static void join_all(const struct lab *lab)
{
    for (unsigned i = 0; i < AUTHORS; i++)
        member_make(&authors[i], lab);
    for (unsigned i = 0; i < member_count; i++) {
        member_make(&members[i], lab);
        members[i].puppet.version = 2;
    }
    for (unsigned i = 0; i < member_count; i++) {
        join(lab, i, i * nodes / member_count + 1);
        hand_certificates(&members[i]);
    }
}

/* Takes what the nodes say, until that time. They push to a publisher, too, what he did not
 * publish, since he is of use to them: he is one more member of the mesh. */
static void hear_all(const struct lab *lab, uint64_t until_us)
{
    struct pollfd ready[MEMBERS_MAX];

    do {
        uint64_t now = now_us();
        for (unsigned i = 0; i < member_count; i++)
            ready[i] = (struct pollfd){.fd = members[i].fd, .events = POLLIN};
        poll(ready, member_count, now < until_us ? (int)((until_us - now) / 1000) : 0);
        for (unsigned i = 0; i < member_count; i++) {
            if (!ready[i].revents)
                continue;
            member_hear(&members[i], 0, NULL, NULL);
            if (members[i].cut || members[i].goodbye != PUPPET_NOBODY) {
                member_leave(&members[i]);
                join(lab, i, at_node[i] % nodes + 1);
            }
        }
    } while (now_us() + 1000 < until_us);
}

static void publish(const struct lab *lab, unsigned votes)
{
    struct gv_subject subject = subject_of(0x100000 + published);
    unsigned at = published++ % member_count;
    struct gv_buf message;
    char text[GV_SUBJECT_TEXT];

    if (members[at].fd < 0 || members[at].cut)
        join(lab, at, at_node[at] % nodes + 1);
    gv_buf_init(&message);
    gv_message_records_start(&message, votes);
    for (unsigned i = 0; i < votes; i++) {
        struct puppet *author = &authors[said++ % AUTHORS].puppet;
        author->sequence =
            (uint64_t)time(NULL) * 1000 + said % 1000; /* as a node numbers (SPEC 8.6) */
        struct gv_statement signal = puppet_signal(author, &subject, now_min());
        struct gv_buf record = sign_statement(author, &signal);
        gv_message_record(&message, record.data, record.len);
        gv_buf_free(&record);
    }
    uint64_t start = now_us();
    member_say(&members[at],
               &message); /* whom a node sends on just now has spoken in vain: it shows */
    gv_buf_free(&message);
    gv_subject_text(text, &subject);
    printf("%s %llu %u\n", text, (unsigned long long)start, at_node[at]);
}

int main(int argc, char **argv)
{
    static struct lab lab;
    char line[64];

    port = argc == 5 ? (unsigned)atoi(argv[2]) : 0;
    nodes = argc == 5 ? (unsigned)atoi(argv[3]) : 0;
    member_count = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
    if (port == 0 || nodes == 0 || nodes > 199 || member_count < 2 || member_count > MEMBERS_MAX) {
        fprintf(stderr, "usage: bench_mesh REGISTRY-FOLDER PORT NODES MEMBERS\n");
        return 64;
    }
    if (sodium_init() < 0)
        return 70;
    signal(SIGPIPE, SIG_IGN);
    lab_open(&lab, argv[1]);
    join_all(&lab);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        unsigned messages, votes;
        double rate;
        hear_all(&lab, now_us() + 20000);
        if (poll(&in, 1, 0) == 0)
            continue;
        if (!fgets(line, sizeof line, stdin) ||
            sscanf(line, "%u %lf %u", &messages, &rate, &votes) != 3 || votes == 0 ||
            votes > AUTHORS)
            return 0;
        uint64_t start = now_us();
        for (unsigned i = 0; i < messages; i++) {
            hear_all(&lab, start + (uint64_t)(i / rate * 1e6));
            publish(&lab, votes);
        }
        puts("done");
        fflush(stdout);
    }
}
