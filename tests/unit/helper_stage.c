#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"

struct network network;
struct host host, far;
struct puppet puppet, other, third;

static int set_up(bool lab)
{
    network_open(&network, 1, lab);
    puppet_make(&puppet, &network, 2);
    puppet_make(&other, &network, 3);
    puppet_make(&third, &network, 5);
    return host_open(&host, &network, 1, NULL) == GV_OK &&
                   host_open(&far, &network, 4, NULL) == GV_OK
               ? 0
               : -1;
}

static int join(void)
{
    return puppet_join(&puppet, &host) && puppet_join(&other, &host) ? 0 : -1;
}

int stage_up(void **state)
{
    return set_up(false);
}

int lab_up(void **state)
{
    return set_up(true);
}

int joined_up(void **state)
{
    return set_up(false) == 0 ? join() : -1;
}

int joined_lab_up(void **state)
{
    return set_up(true) == 0 ? join() : -1;
}

int stage_down(void **state)
{
    puppet_free(&puppet);
    puppet_free(&other);
    puppet_free(&third);
    host_close(&host);
    host_close(&far);
    network_close(&network);
    return 0;
}

void stage_again(bool lab)
{
    stage_down(NULL);
    assert_int_equal(lab ? joined_lab_up(NULL) : joined_up(NULL), 0);
}

void stage_settle(void)
{
    host_run(&host, 2 * GV_EXCHANGE_MS);
    puppet_work(&puppet);
    puppet_work(&other);
    puppet_forget(&puppet);
    puppet_forget(&other);
}

void assert_offence(const char *what)
{
    if (!puppet.closed || puppet.goodbye != GV_GOODBYE_INVALID)
        fail_msg("%s: no offence", what);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 1);
}

void assert_no_offence(const char *what)
{
    if (puppet.closed || host.notes[GV_NOTE_PEER_REFUSED] != 0)
        fail_msg("%s: blamed", what);
}
