#include "helper_differential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 20261122;
unsigned differential_agreed;

void differential_seed(void)
{
    if (getenv("GV_SEED"))
        seed = (uint32_t)strtoul(getenv("GV_SEED"), NULL, 10);
    printf("GV_SEED=%u\n", seed);
}

uint32_t draw(uint32_t bound)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(seed >> 4) * bound) >> 28);
}

bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static struct said fast(const char *text, differential_lexer *lexer)
{
    struct said s = {0};
    struct gv_parsed p;
    struct gv_line line = {.text = text, .text_len = strlen(text)};

    s.any = lexer(&p, &line, false);
    if (!s.any)
        return s;
    s.what = p.said;
    s.blame = p.blame;
    s.kind = p.kind;
    s.attempts = p.attempts;
    s.good = p.auth_good;
    s.all = p.auth_all;
    s.service = p.service;
    s.port = p.port;
    s.address = p.address;
    s.account = p.account.at;
    s.account_len = p.account.len;
    return s;
}

static bool agree(const struct said *a, const struct said *b)
{
    if (a->any != b->any || !a->any)
        return a->any == b->any;
    bool same = a->what == b->what && a->kind == b->kind && a->blame == b->blame &&
                a->good == b->good && a->service == b->service && a->port == b->port &&
                a->all == b->all && gv_ip_address_equal(&a->address, &b->address) &&
                a->account_len == b->account_len &&
                (a->account_len == 0 || a->account == b->account);
    return same && (a->what != GV_SAID_FAILURE || a->attempts == b->attempts);
}

void differential_compare(const char *text, differential_lexer *lexer, struct said reference)
{
    struct said ours = fast(text, lexer), *theirs = &reference;

    if (!agree(&ours, theirs))
        fail_msg(
            "%s\n  fast: %d %d kind %u attempts %u account %zu\n  slow: %d %d kind %u attempts "
            "%u account %zu",
            text, ours.any, ours.what, ours.kind, ours.attempts, ours.account_len, theirs->any,
            theirs->what, theirs->kind, theirs->attempts, theirs->account_len);
    differential_agreed += ours.any;
}

void mutate(char *text)
{
    static const char specials[] = " :,<>[]()=/?\"%.0129afAF\x80";

    for (uint32_t n = draw(3); n > 0; n--) {
        size_t len = strlen(text);
        if (len == 0)
            return;
        size_t at = draw((uint32_t)len);
        switch (draw(5)) {
        case 0:
            memmove(text + at, text + at + 1, len - at);
            break;
        case 1:
            memmove(text + at + 1, text + at, len - at + 1);
            break;
        case 2:
            text[at] = specials[draw(sizeof specials - 1)];
            break;
        case 3:
            if (draw(4) == 0)
                text[at] = '\0';
            break;
        default:
            if (at > 0) {
                char c = text[at];
                text[at] = text[at - 1];
                text[at - 1] = c;
            }
        }
    }
}
