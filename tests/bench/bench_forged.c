/* How fast a core rejects forged signals: valid frames of members, in each a signal that is right
 * but for its signature, through gv_core_step, everything a forger costs included (decryption,
 * checks, the goodbye, the ban). Beside it, in the same run, the floor: libsodium verifying the
 * same signatures and nothing else. The handshakes before are not counted; SPEC 5.4 bounds those.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "helper_forge.h"
#include "proto/limits.h"

#define FORGERS 50 /* as many links as a node has by default, about */
#define SLICE   10
#define ROUNDS  201
#define DOMAIN  "grapevine signal 1"

static struct network network;
static struct host host;
static struct puppet forgers[FORGERS], victim, relay;
static struct gv_buf records[FORGERS], frames[FORGERS];

static double cpu_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_forged: %s\n", what);
    exit(1);
}

/* A signal in the victim's name under the forger's signature: nothing is wrong with it but that. */
static void prepare(unsigned i, unsigned round)
{
    struct gv_subject subject = subject_of(round * FORGERS + i);
    struct gv_statement statement = puppet_signal(&victim, &subject, host_minute(&host));
    struct gv_buf message;

    gv_buf_free(&records[i]);
    records[i] = sign_statement(&forgers[i], &statement);
    gv_buf_init(&message);
    gv_message_records_start(&message, 1);
    gv_message_record(&message, records[i].data, records[i].len);
    must(puppet_join(&forgers[i], &host), "a forger was not let in");
    gv_buf_clear(&frames[i]);
    must(gv_session_seal(&forgers[i].session, &frames[i], message.data, message.len) == 0, "seal");
    gv_buf_free(&message);
}

static uint8_t messages[FORGERS][256];
static size_t lens[FORGERS];

static void prepare_floor(void)
{
    for (size_t i = 0; i < FORGERS; i++) {
        size_t domain = sizeof DOMAIN, body = records[i].len - 65;
        memcpy(messages[i], DOMAIN, domain);
        memcpy(messages[i] + domain, network.descriptor.network_id, GV_KEY_LEN);
        memcpy(messages[i] + domain + GV_KEY_LEN, records[i].data + 65, body);
        lens[i] = domain + GV_KEY_LEN + body;
        /* Under the forger's own key it is a signature: the message is built as the core does. */
        must(crypto_sign_verify_detached(records[i].data + 1, messages[i], lens[i],
                                         forgers[i].identity.sign_public) == 0,
             "the message is not what was signed");
    }
}

static double verify_some(size_t from, size_t to)
{
    double start = cpu_s();

    for (size_t i = from; i < to; i++)
        must(crypto_sign_verify_detached(records[i].data + 1, messages[i], lens[i],
                                         victim.identity.sign_public) != 0,
             "a forgery verifies");
    return cpu_s() - start;
}

static double reject_some(size_t from, size_t to)
{
    double start = cpu_s();

    for (size_t i = from; i < to; i++)
        host_bytes(&host, forgers[i].link, frames[i].data, frames[i].len);
    return cpu_s() - start;
}

/* A frame of 64 signals of a certificate that nobody knows: dropped before any signature. */
static double drop_unknown(unsigned frames_count)
{
    static struct puppet nobody;
    struct gv_buf message, wire;
    double spent = 0;

    puppet_make(&nobody, &network, 9999);
    gv_buf_init(&message);
    gv_buf_init(&wire);
    gv_message_records_start(&message, GV_RECORDS_PER_MESSAGE);
    for (unsigned i = 0; i < GV_RECORDS_PER_MESSAGE; i++) {
        struct gv_buf record = puppet_signal_on(&nobody, i, host_minute(&host));
        gv_message_record(&message, record.data, record.len);
        gv_buf_free(&record);
    }
    must(puppet_join(&forgers[0], &host), "a member was not let in");
    for (unsigned i = 0; i < frames_count; i++) {
        gv_buf_clear(&wire);
        must(gv_session_seal(&forgers[0].session, &wire, message.data, message.len) == 0, "seal");
        double start = cpu_s();
        host_bytes(&host, forgers[0].link, wire.data, wire.len);
        spent += cpu_s() - start;
    }
    must(!forgers[0].closed, "what is unknown cost the session");
    puppet_free(&nobody);
    gv_buf_free(&message);
    gv_buf_free(&wire);
    return spent;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int main(void)
{
    struct gv_settings settings = {.share = GV_SHARE_YES, .max_links = 128};
    double raw[ROUNDS], ours[ROUNDS];

    must(sodium_init() >= 0, "libsodium");
    network_open(&network, 1, false);
    must(host_open(&host, &network, 1, &settings) == 0, "core");
    puppet_make(&victim, &network, 2);
    puppet_make(&relay, &network, 3);
    must(puppet_join(&relay, &host), "the relay was not let in");
    puppet_hand(&relay, certificate_record(&victim));
    puppet_leave(&relay);
    for (unsigned i = 0; i < FORGERS; i++)
        puppet_make(&forgers[i], &network, 10 + i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        victim.sequence = host_unix_ms(&host);
        for (unsigned i = 0; i < FORGERS; i++) {
            prepare(i, round);
            host.now_ms += 20;
        }
        prepare_floor();
        raw[round] = ours[round] = 0;
        for (size_t at = 0; at < FORGERS; at += SLICE) { /* in turn: the machine's moods hit both */
            raw[round] += verify_some(at, at + SLICE);
            ours[round] += reject_some(at, at + SLICE);
        }
        for (unsigned i = 0; i < FORGERS; i++) {
            must(forgers[i].closed, "a forger was not cut off");
            puppet_leave(&forgers[i]);
        }
        host_run(&host, GV_BAN_MS + 1000);
    }
    must(host.notes[GV_NOTE_PEER_REFUSED] == FORGERS * ROUNDS && host_status(&host).statements == 0,
         "not all were rejected");
    double unknown = drop_unknown(500);
    qsort(raw, ROUNDS, sizeof *raw, compare);
    qsort(ours, ROUNDS, sizeof *ours, compare);
    printf("%d forged signals, %d rounds (the fastest tenth, of both); %.0f a CPU second of an "
           "unknown certificate, "
           "without a look at the signature\n",
           FORGERS, ROUNDS, 500 * GV_RECORDS_PER_MESSAGE / unknown);
    printf("forged: ours %.0f, peer %.0f rejected per CPU second, ratio %.2f\n",
           FORGERS / ours[ROUNDS / 10], FORGERS / raw[ROUNDS / 10],
           raw[ROUNDS / 10] / ours[ROUNDS / 10]);
    return 0;
}
