/* What an honest member notices of a node under attack: how long he waits to be let in, how soon
 * what he says is taken, safe and acknowledged, and how soon another member has it from that node.
 * News leaves a node once in 500 ms (SPEC 9.3): one word in 25 is spread, the others are whispered
 * (9.10), as a member's own words are. Each is another word: checked, stored and acknowledged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "hostile.h"

#define SPREAD   25u /* of so many words one is for everybody */
#define LOST_MAX 2u  /* then it is given up: a test that waits for each would never end */
#define LOST_US  8000000u

struct times {
    uint64_t took[1024];
    unsigned got, lost;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* In ms; 0 of none. share: 0.5 is the median, 1 the longest. */
static double time_of(struct times *times, double share)
{
    if (times->got == 0)
        return 0;
    qsort(times->took, times->got, sizeof *times->took, compare);
    size_t at = (size_t)(share * times->got);
    return (double)times->took[at < times->got ? at : times->got - 1] / 1000;
}

static void took(struct times *times, uint64_t start, bool heard)
{
    if (heard)
        times->took[times->got++] = now_us() - start;
    else
        times->lost++;
}

static bool is_record(void *context, const struct gv_message *message)
{
    const struct gv_buf *record = context;

    for (uint32_t i = 0; message->kind == GV_MESSAGE_RECORDS && i < message->record_count; i++)
        if (message->records[i].len == record->len &&
            memcmp(message->records[i].data, record->data, record->len) == 0)
            return true;
    return false;
}

static bool is_ack_of(void *context, const struct gv_message *message)
{
    for (size_t i = 0; message->kind == GV_MESSAGE_ACK && i < message->id_count; i++)
        if (memcmp(message->ids + i * GV_ID_LEN, context, GV_ID_LEN) == 0)
            return true;
    return false;
}

/* Of addresses that no probe before it told of: one more vote on one that is untrusted already may
 * wait (SPEC 9.9). The quota is 32 an hour: each 32 signals are about an hour of their own. */
static struct gv_buf signal_of(struct member *member, unsigned number)
{
    struct gv_subject subject =
        subject_of(0x400000 + ((unsigned)getpid() & 0xfff) * 0x400 + number);
    struct gv_statement s =
        puppet_signal(&member->puppet, &subject, now_min() - 60 * (number / 32));

    return sign_statement(&member->puppet, &s);
}

static void hand(struct member *member, const struct gv_buf *record, bool spread)
{
    struct gv_buf message;

    gv_buf_init(&message);
    if (spread)
        gv_message_records_start(&message, 1);
    else
        gv_message_whisper_start(&message, 1);
    gv_message_record(&message, record->data, record->len);
    member_say(member, &message);
    gv_buf_free(&message);
}

static void sample(struct member *sender, struct member *receiver, unsigned samples,
                   unsigned pace_ms, struct times *taken, struct times *passed)
{
    struct gv_buf record;
    uint8_t id[GV_ID_LEN];

    for (unsigned i = 0; i < samples && taken->lost + (passed ? passed->lost : 0) <= LOST_MAX;
         i++) {
        bool spread = passed && i % SPREAD == 0;
        record = signal_of(sender, i);
        gv_assert(gv_record_id(id, record.data, record.len) == 0);
        uint64_t start = now_us();
        hand(sender, &record, spread);
        took(taken, start, member_hear(sender, start + LOST_US, is_ack_of, id));
        if (spread)
            took(passed, start, member_hear(receiver, start + LOST_US, is_record, &record));
        gv_buf_free(&record);
        uint64_t next = start + pace_ms * 1000u, now = now_us();
        if (now < next)
            usleep((useconds_t)(next - now));
    }
}

#define NEWCOMER_US 60000000u /* then he gives up */

/* In and heard, from an address of his own; after how long. 0: never. As a real node does, he tries
 * again after 2 s, and twice as long each time. */
static uint64_t newcomer(const struct lab *lab, unsigned number, unsigned *tries, unsigned *proved)
{
    struct sockaddr_in source = source_of_number(133 + number % 8, (unsigned)getpid() % 60000);
    uint64_t start = now_us(), pause = 2000000;
    struct member member;
    uint8_t id[GV_ID_LEN];
    bool heard = false;

    member_make(&member, lab);
    while (!heard && now_us() - start < NEWCOMER_US) {
        ++*tries;
        if (member_join(&member, lab, &source, 0)) {
            struct gv_buf record = signal_of(&member, number);
            gv_assert(gv_record_id(id, record.data, record.len) == 0);
            member_hand(&member, record);
            heard = member_hear(&member, now_us() + LOST_US, is_ack_of, id);
            *proved += heard && member.proved;
        }
        member_leave(&member);
        if (!heard)
            usleep((useconds_t)pause);
        pause *= 2;
    }
    return heard ? now_us() - start : 0;
}

int run_newcomers(const struct lab *lab, unsigned members)
{
    unsigned in = 0, tries = 0, proved = 0;
    uint64_t longest = 0;

    for (unsigned i = 0; i < members && in == i; i++) { /* one that is locked out is enough */
        uint64_t took_us = newcomer(lab, i, &tries, &proved);
        in += took_us > 0;
        longest = took_us > longest ? took_us : longest;
    }
    printf(
        "{\"members\": %u, \"let_in\": %u, \"proved\": %u, \"tries\": %u, \"longest_ms\": %.1f}\n",
        members, in, proved, tries, (double)longest / 1000);
    return in == members ? 0 : 1;
}

int run_probe(const struct lab *lab, unsigned samples, unsigned pace_ms, bool passing)
{
    static struct times taken, passed;
    struct sockaddr_in from = source_of_number(77, 0), to = source_of_number(77, 1);
    uint64_t join = now_us();
    struct member sender, receiver;

    if (samples > 1000)
        die("samples");
    member_make(&sender, lab);
    member_make(&receiver, lab);
    if (!member_join(&sender, lab, &from, 0) || !member_join(&receiver, lab, &to, 0)) {
        printf("not let in\n");
        return 1;
    }
    join = (now_us() - join) / 2;
    member_hear(&receiver, now_us() + 200000, NULL, NULL);
    sample(&sender, &receiver, samples, pace_ms, &taken, passing ? &passed : NULL);
    unsigned lost = taken.lost + passed.lost;
    printf("{\"samples\": %u, \"signals\": %u, \"lost\": %u, \"cut\": %s, \"join_ms\": %.1f, "
           "\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"passed_ms\": %.2f}\n",
           taken.got, passed.got, lost, sender.cut || receiver.cut ? "true" : "false",
           (double)join / 1000, time_of(&taken, 0.5), time_of(&taken, 0.99), time_of(&passed, 1));
    member_leave(&sender);
    member_leave(&receiver);
    return lost == 0 ? 0 : 1;
}
