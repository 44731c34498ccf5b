#include "helper_said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

unsigned differential_agreed;

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
