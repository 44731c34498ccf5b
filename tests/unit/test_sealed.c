/* Rows that are sealed in the store: back as they were, and nothing of them to be read (SPEC 15).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/base/sealed.h"

#define LEN 1024

static void what_is_sealed_comes_back(void **state)
{
    static const uint8_t key[GV_KEY_LEN] = {1}, other[GV_KEY_LEN] = {2};
    static const char secret[] = "2001:db8:77::1";
    uint8_t data[LEN] = {0}, sealed[LEN + GV_SEALED_MORE], again[LEN + GV_SEALED_MORE], back[LEN];

    (void)state;
    memcpy(data + 500, secret, sizeof secret);
    gv_seal(sealed, key, data, sizeof data);
    gv_seal(again, key, data, sizeof data);
    assert_memory_not_equal(sealed, again, sizeof sealed); /* so nobody sees that it is the same */
    assert_null(memmem(sealed, sizeof sealed, secret, 4));
    gv_unseal(back, key, sealed, sizeof sealed);
    assert_memory_equal(back, data, sizeof data);
    gv_unseal(back, other, sealed, sizeof sealed);
    assert_memory_not_equal(back, data, sizeof data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_sealed_comes_back)};

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
