/* An honest member's signal through the node under attack: from one member to it, and from it to
 * another; and how long a member waits to be let in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

#define PACE_US  10000

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
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

/* The quota is 32 an hour: each 32 signals are about an hour of their own. */
static struct gv_buf signal_of(struct member *member, unsigned number)
{
    struct gv_subject subject = subject_of(0x400000 + number);
    struct gv_statement s = puppet_signal(&member->puppet, &subject, now_min() - 60 * (number / 32));

    return sign_statement(&member->puppet, &s);
}

int run_probe(const struct lab *lab, unsigned samples)
{
    struct sockaddr_in from = source_of_number(77, 0), to = source_of_number(77, 1);
    uint64_t *took = calloc(samples, sizeof *took), join = now_us();
    struct member sender, receiver;
    unsigned lost = 0, got = 0;

    if (!took || samples > 700)
        die("samples");
    member_make(&sender, lab);
    member_make(&receiver, lab);
    if (!member_join(&sender, lab, &from, 0) || !member_join(&receiver, lab, &to, 0)) {
        printf("not let in\n");
        return 1;
    }
    join = (now_us() - join) / 2;
    member_hear(&receiver, now_us() + 200000, NULL, NULL);
    for (unsigned i = 0; i < samples; i++) {
        struct gv_buf record = signal_of(&sender, i), copy;
        gv_buf_init(&copy);
        gv_buf_append(&copy, record.data, record.len);
        uint64_t start = now_us();
        bool sent = member_hand(&sender, record);
        if (sent && member_hear(&receiver, start + PATIENCE_US, is_record, &copy))
            took[got++] = now_us() - start;
        else
            lost++;
        gv_buf_free(&copy);
        member_hear(&sender, now_us() + PACE_US, NULL, NULL); /* acknowledgements */
    }
    qsort(took, got, sizeof *took, compare);
    printf("{\"samples\": %u, \"lost\": %u, \"join_ms\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, "
           "\"acknowledged\": %u}\n",
           got, lost, (double)join / 1000, got ? (double)took[got / 2] / 1000 : 0,
           got ? (double)took[got * 99 / 100] / 1000 : 0, sender.heard[GV_MESSAGE_ACK]);
    member_leave(&sender);
    member_leave(&receiver);
    free(took);
    return lost == 0 ? 0 : 1;
}
