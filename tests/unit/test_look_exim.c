/* Exim's log and queue for a closer look (SPEC 15.2): what the lines say, and what others wrote in
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/cli/look_exim.h"

#define ID "1xV26K-000039-0k"

static void test_lines_of_the_log(void **state)
{
    static const struct {
        const char *text;
        int said; /* -1: nothing */
        const char *address;
        uint64_t bytes;
    } cases[] = {
        {ID " <= a@x.example H=(c) [192.0.2.1] P=esmtpa A=plain:a S=353", GV_EXIM_CAME,
         "a@x.example", 353},
        {"2026-11-22 07:35:20.912 [193] " ID " <= a@x.example P=local S=7", GV_EXIM_CAME,
         "a@x.example", 7},
        {"[193] " ID " <= <> R=" ID " U=exim P=local S=9", GV_EXIM_CAME, "<>", 9},
        {"1t5C6f-0000000012h-0abc <= a@x P=esmtp S=1", GV_EXIM_CAME, "a@x", 1},
        {ID " <= \"a <= b\\\" c\"@x.example P=esmtp S=5", GV_EXIM_CAME,
         "\"a <= b\\\" c\"@x.example", 5},
        {ID " <= a@x H=(y S=9) [192.0.2.1] P=esmtp S=12 T=\"x S=77\"", GV_EXIM_CAME, "a@x", 12},
        /* A size that somebody else wrote: the sender, a HELO name, an ident server, a certificate.
         */
        {ID " <= \"x H=y P=y S=99999\"@x H=(h) [192.0.2.1] P=esmtp S=12", GV_EXIM_CAME,
         "\"x H=y P=y S=99999\"@x", 12},
        {ID " <= \"x\\\" P=y S=99999\"@x P=esmtp S=12", GV_EXIM_CAME, "\"x\\\" P=y S=99999\"@x",
         12},
        {ID " <= a@x H=(y P=z S=9) [192.0.2.1] P=esmtp S=12", GV_EXIM_CAME, "a@x", 12},
        {ID " <= a@x H=h.example (y P=z S=9) [192.0.2.1]:25 P=esmtp S=12 id=S=4", GV_EXIM_CAME,
         "a@x", 12},
        {ID " <= a@x H=(y) [192.0.2.9] P=z S=9) [192.0.2.1] P=esmtp S=12", GV_EXIM_CAME, "a@x", 0},
        {ID " <= a@x H=[192.0.2.1] U=i P=z S=9 P=esmtp S=12", GV_EXIM_CAME, "a@x", 0},
        {ID " <= a@x H=[192.0.2.1] P=esmtps X=T DN=\"CN=a S=9\" S=12", GV_EXIM_CAME, "a@x", 0},
        {ID " <= a@x H=[192.0.2.1] P=esmtps X=T DN=\"CN=a\" S=12", GV_EXIM_CAME, "a@x", 12},
        {ID " <= a@x U=root P=local S=12 T=\"x S=77\"", GV_EXIM_CAME, "a@x", 12},
        {ID " <= a@x H=h", GV_EXIM_CAME, "a@x", 0},
        {ID " <= a@x H=", GV_EXIM_CAME, "a@x", 0},
        {ID " <= a@x H=h (", GV_EXIM_CAME, "a@x", 0},
        {ID " <= a@x H=y", GV_EXIM_CAME, "a@x", 0},
        {ID " => b@y.example R=r T=t", GV_EXIM_SETTLED, "b@y.example", 0},
        {ID " -> b@y", GV_EXIM_SETTLED, "b@y", 0},
        {ID " ** b@y: no", GV_EXIM_SETTLED, "b@y:", 0},
        {ID " Completed", GV_EXIM_DONE, "", 0},
        {ID " Completed QT=1s", GV_EXIM_DONE, "", 0},
        {ID " == b@y R=r defer (-1)", -1, NULL, 0},
        {ID " SA: => b@y", -1, NULL, 0},
        {"H=(" ID " <= a@x S=1) [192.0.2.1] rejected", -1, NULL, 0},
        {"1xV26K-00003-0k <= a@x S=1", -1, NULL, 0},
        {"1xV26K-000039-0kk <= a@x S=1", -1, NULL, 0},
        {ID, -1, NULL, 0},
        {ID " ", -1, NULL, 0},
        {ID " <=", -1, NULL, 0},
        {"", -1, NULL, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_exim_fact fact;
        size_t len = strlen(cases[i].text);
        char *exact = malloc(len ? len : 1); /* no byte behind it is there */
        memcpy(exact, cases[i].text, len);
        bool found = gv_exim_fact(&fact, exact, len);
        if (found != (cases[i].said >= 0) ||
            (found && ((int)fact.said != cases[i].said || fact.bytes != cases[i].bytes ||
                       fact.address.len != strlen(cases[i].address) ||
                       memcmp(fact.address.at ? fact.address.at : "", cases[i].address,
                              fact.address.len) != 0)))
            fail_msg("%s: %d, %.*s, %llu", cases[i].text, found ? (int)fact.said : -1,
                     found ? (int)fact.address.len : 0,
                     found && fact.address.at ? fact.address.at : "",
                     found ? (unsigned long long)fact.bytes : 0ull);
        for (size_t cut = 0; cut < len; cut++)
            (void)gv_exim_fact(&fact, exact, cut);
        free(exact);
    }
}

static void test_lines_of_the_queue(void **state)
{
    static const struct {
        const char *line;
        enum gv_exim_queue is;
        const char *address;
        uint64_t age_s, bytes;
        bool frozen;
    } cases[] = {
        {" 4m  2.9K " ID " <a@x.example>", GV_EXIM_QUEUE_MESSAGE, "a@x.example", 240, 2969, false},
        {"25h   512 " ID " <> *** frozen ***", GV_EXIM_QUEUE_MESSAGE, "", 90000, 512, true},
        {" 3d  1.5M 1t5C6f-0000000012h-0abc <a@x> (root)", GV_EXIM_QUEUE_MESSAGE, "a@x", 259200,
         1572864, false},
        {" 4m  1 " ID " <a> *** frozen ***@x>", GV_EXIM_QUEUE_MESSAGE, "a> *** frozen ***@x", 240,
         1, false},
        {"          b@y.example", GV_EXIM_QUEUE_RECIPIENT, "b@y.example", 0, 0, false},
        {"        D b@y.example", GV_EXIM_QUEUE_OTHER, NULL, 0, 0, false},
        {"       +D b@y.example", GV_EXIM_QUEUE_OTHER, NULL, 0, 0, false},
        {"", GV_EXIM_QUEUE_OTHER, NULL, 0, 0, false},
        {" 4m  2.9K " ID, GV_EXIM_QUEUE_OTHER, NULL, 0, 0, false},
        {" 4x  2.9K " ID " <a@x>", GV_EXIM_QUEUE_OTHER, NULL, 0, 0, false},
        {"999999999999999999999m  1 " ID " <a@x>", GV_EXIM_QUEUE_MESSAGE, "a@x", 6000000, 1, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_exim_queued q;
        size_t len = strlen(cases[i].line);
        char *exact = malloc(len ? len : 1);
        memcpy(exact, cases[i].line, len);
        enum gv_exim_queue is = gv_exim_queued(&q, exact, len);
        if (is != cases[i].is ||
            (cases[i].address && (q.address.len != strlen(cases[i].address) ||
                                  memcmp(q.address.at, cases[i].address, q.address.len) != 0 ||
                                  q.age_s != cases[i].age_s || q.bytes != cases[i].bytes ||
                                  q.frozen != cases[i].frozen)))
            fail_msg("%s: %d, %.*s, %llu s, %llu", cases[i].line, (int)is, (int)q.address.len,
                     q.address.at ? q.address.at : "", (unsigned long long)q.age_s,
                     (unsigned long long)q.bytes);
        for (size_t cut = 0; cut < len; cut++)
            (void)gv_exim_queued(&q, exact, cut);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_the_log),
        cmocka_unit_test(test_lines_of_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
