#include "helper_differential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"

void patterns_compile(struct pattern *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (regcomp(&patterns[i].compiled, patterns[i].source, REG_EXTENDED) != 0)
            fail_msg("%s", patterns[i].source);
}

void patterns_free(struct pattern *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        regfree(&patterns[i].compiled);
}

bool pattern_match(const struct pattern *pattern, const char *text, regmatch_t groups[GROUPS])
{
    return regexec(&pattern->compiled, text, GROUPS, groups, 0) == 0;
}

bool group_address(struct gv_ip_address *out, const char *text, const regmatch_t *group)
{
    return gv_ip_address_parse(out, text + group->rm_so, (size_t)(group->rm_eo - group->rm_so)) ==
           GV_OK;
}

struct gv_span group_span(const char *text, const regmatch_t *group)
{
    if (group->rm_so < 0)
        return (struct gv_span){NULL, 0};
    return (struct gv_span){text + group->rm_so, (size_t)(group->rm_eo - group->rm_so)};
}

static uint32_t seed = 20261122;

void draw_init(void)
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

static bool same_span(const struct gv_span *a, const struct gv_span *b)
{
    return a->len == b->len && (a->len == 0 || a->at == b->at);
}

static bool same(const struct gv_parsed *a, const struct gv_parsed *b)
{
    return a->said == b->said && a->blame == b->blame && a->kind == b->kind &&
           a->service == b->service && a->auth_all == b->auth_all &&
           gv_ip_address_equal(&a->address, &b->address) && same_span(&a->account, &b->account) &&
           same_span(&a->session, &b->session) && same_span(&a->origin, &b->origin) &&
           ((a->said != GV_SAID_FAILURE && a->said != GV_SAID_UNNAMED) ||
            a->attempts == b->attempts);
}

static void tell(char *out, size_t size, const struct gv_parsed *p)
{
    char address[GV_IP_ADDRESS_TEXT];

    if (!p) {
        snprintf(out, size, "nothing");
        return;
    }
    gv_ip_address_text(address, &p->address);
    snprintf(out, size, "said %d %s kind %d blame %d service %d account '%.*s' session '%.*s'",
             p->said, address, p->kind, p->blame, p->service, (int)p->account.len,
             p->account.len ? p->account.at : "", (int)p->session.len,
             p->session.len ? p->session.at : "");
}

void must_agree(const char *text, const struct gv_parsed *fast, const struct gv_parsed *slow)
{
    char ours[1500], theirs[1500];

    if ((!fast && !slow) || (fast && slow && same(fast, slow)))
        return;
    tell(ours, sizeof ours, fast);
    tell(theirs, sizeof theirs, slow);
    fail_msg("%s\n  fast: %s\n  slow: %s", text, ours, theirs);
}
