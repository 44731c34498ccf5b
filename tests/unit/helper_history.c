#include "tests/unit/helper_history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/error.h"

const uint8_t stage_key[16] = {1, 2, 3};

/* The stage: one host, one clock, and mostly one address. */
struct gv_history *history;
uint64_t now;
struct gv_history_result last;
const struct gv_subject attacker = {GV_FAMILY_IPV4, {203, 0, 113, 9}};
const struct gv_subject neighbour = {GV_FAMILY_IPV4, {203, 0, 113, 200}};

int history_up(void **state)
{
    (void)state;
    history = gv_history_new(1000, stage_key);
    now = START;
    return history ? 0 : -1;
}

int history_down(void **state)
{
    (void)state;
    gv_history_free(history);
    return 0;
}

struct gv_observation failure(const struct gv_subject *subject)
{
    struct gv_observation o = {.subject = *subject,
                               .unix_ms = now,
                               .attempts = 1,
                               .service = GV_SERVICE_SUBMISSION,
                               .kind = GV_KIND_WRONG_PASSWORD,
                               .new_visit = true};
    return o;
}

void see(struct gv_observation o, bool untrusted)
{
    assert_int_equal(gv_history_observe(history, &last, now, &o, untrusted, true), GV_OK);
}

/* One connection with one wrong password at an account that the log does not name. */
void fails(const struct gv_subject *subject)
{
    see(failure(subject), false);
}

void fails_at(const struct gv_subject *subject, uint64_t account, uint64_t password)
{
    struct gv_observation o = failure(subject);

    o.account = account;
    o.password = password;
    see(o, false);
}

void fails_unknown(const struct gv_subject *subject)
{
    struct gv_observation o = failure(subject);

    o.kind = GV_KIND_UNKNOWN_ACCOUNT;
    see(o, false);
}

void logs_in(const struct gv_subject *subject, uint64_t account)
{
    struct gv_observation o = failure(subject);

    o.attempts = 0;
    o.success = true;
    o.kind = GV_KIND_UNSPECIFIED;
    o.account = account;
    see(o, false);
}

void after(uint64_t ms)
{
    now += ms;
}

struct gv_action_facts facts_of(const struct gv_subject *subject)
{
    struct gv_action_facts f = {0};

    gv_history_facts(history, &f, subject, now);
    return f;
}

struct gv_history_summary summary_of(const struct gv_subject *subject)
{
    struct gv_history_summary s;

    assert_int_equal(gv_history_summarise(history, &s, subject, now), GV_OK);
    return s;
}

/* Two logins, a week apart: the first alternative of clean. */
void becomes_clean(const struct gv_subject *subject)
{
    logs_in(subject, ALICE);
    after(7 * DAY);
    logs_in(subject, ALICE);
}

struct gv_subject user(unsigned i)
{
    struct gv_subject s = {GV_FAMILY_IPV4, {198, 51, (uint8_t)i, 7}};

    return s;
}
