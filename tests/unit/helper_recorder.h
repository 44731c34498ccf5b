/* A peer over a real socket that remembers: it takes one session after the other from a node under
 * test, acknowledges every statement, and keeps what it has acknowledged over all the node's
 * lives. */
#ifndef GV_TESTS_HELPER_RECORDER_H
#define GV_TESTS_HELPER_RECORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/certificate.h"
#include "crypto/identity.h"
#include "proto/subject.h"
#include "proto/wire/descriptor.h"

struct recorded {
    uint8_t id[GV_ID_LEN];
    uint64_t sequence;
    struct gv_subject subject;
};

struct recorder {
    const struct gv_descriptor *descriptor;
    struct gv_identity identity;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    uint16_t port;
    int listener, wake[2];
    pthread_t thread;
    pthread_mutex_t lock;
    /* Under the lock: */
    struct recorded *list;
    size_t count, cap;
    unsigned sessions; /* that have opened so far */
    bool open;         /* one is open now */
};

/* Listens on a free port of 127.0.0.1. identity, certificate and descriptor are set before. */
void recorder_start(struct recorder *recorder);
void recorder_stop(struct recorder *recorder);
/* Copies of what the thread changes. */
size_t recorder_count(struct recorder *recorder);
unsigned recorder_sessions(struct recorder *recorder, bool *open);
/* Fails when two different statements have one number. */
void recorder_check_numbers(struct recorder *recorder);
bool recorder_has(struct recorder *recorder, const struct gv_subject *subject);

#endif
