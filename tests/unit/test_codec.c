/* The strict part of msgpack (SPEC 2.4): one value has one encoding, and nothing that is declared
 * is believed before it is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/codec.h"

struct form {
    const char *name;
    uint8_t head[9];
    size_t head_len;
    size_t body;  /* bytes of payload that follow */
    size_t items; /* elements (each a 0) that follow */
    bool good;
};

static const struct form forms[] = {
    {"fixint 0", {0x00}, 1, 0, 0, true},
    {"fixint 127", {0x7f}, 1, 0, 0, true},
    {"uint8 127", {0xcc, 0x7f}, 2, 0, 0, false},
    {"uint8 128", {0xcc, 0x80}, 2, 0, 0, true},
    {"uint8 255", {0xcc, 0xff}, 2, 0, 0, true},
    {"uint16 255", {0xcd, 0x00, 0xff}, 3, 0, 0, false},
    {"uint16 256", {0xcd, 0x01, 0x00}, 3, 0, 0, true},
    {"uint32 65535", {0xce, 0, 0, 0xff, 0xff}, 5, 0, 0, false},
    {"uint32 65536", {0xce, 0, 1, 0, 0}, 5, 0, 0, true},
    {"uint64 2^32-1", {0xcf, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, 9, 0, 0, false},
    {"uint64 2^32", {0xcf, 0, 0, 0, 1, 0, 0, 0, 0}, 9, 0, 0, true},
    {"uint64 2^64-1", {0xcf, 255, 255, 255, 255, 255, 255, 255, 255}, 9, 0, 0, true},
    {"bin8 0", {0xc4, 0}, 2, 0, 0, true},
    {"bin8 255", {0xc4, 255}, 2, 255, 0, true},
    {"bin16 255", {0xc5, 0, 255}, 3, 255, 0, false},
    {"bin16 256", {0xc5, 1, 0}, 3, 256, 0, true},
    {"bin32 256", {0xc6, 0, 0, 1, 0}, 5, 256, 0, false},
    {"fixstr 0", {0xa0}, 1, 0, 0, true},
    {"fixstr 31", {0xbf}, 1, 31, 0, true},
    {"str8 31", {0xd9, 31}, 2, 31, 0, false},
    {"str8 32", {0xd9, 32}, 2, 32, 0, true},
    {"str16 255", {0xda, 0, 255}, 3, 255, 0, false},
    {"str16 256", {0xda, 1, 0}, 3, 256, 0, true},
    {"str32 256", {0xdb, 0, 0, 1, 0}, 5, 256, 0, false},
    {"fixarray 0", {0x90}, 1, 0, 0, true},
    {"fixarray 15", {0x9f}, 1, 0, 15, true},
    {"array16 15", {0xdc, 0, 15}, 3, 0, 15, false},
    {"array16 16", {0xdc, 0, 16}, 3, 0, 16, true},
    {"array32 16", {0xdd, 0, 0, 0, 16}, 5, 0, 16, false},
    {"nil", {0xc0}, 1, 0, 0, false},
    {"never used", {0xc1}, 1, 0, 0, false},
    {"false", {0xc2}, 1, 0, 0, false},
    {"true", {0xc3}, 1, 0, 0, false},
    {"ext8", {0xc7, 1, 1}, 3, 1, 0, false},
    {"float32", {0xca}, 1, 4, 0, false},
    {"float64", {0xcb}, 1, 8, 0, false},
    {"int8", {0xd0, 5}, 2, 0, 0, false},
    {"int8 -100", {0xd0, 0x9c}, 2, 0, 0, false},
    {"int16", {0xd1, 1, 0}, 3, 0, 0, false},
    {"int32", {0xd2, 0, 1, 0, 0}, 5, 0, 0, false},
    {"int64", {0xd3, 0, 0, 0, 1}, 5, 4, 0, false},
    {"fixext1", {0xd4, 1}, 2, 1, 0, false},
    {"fixext16", {0xd8, 1}, 2, 16, 0, false},
    {"-1", {0xff}, 1, 0, 0, false},
    {"-32", {0xe0}, 1, 0, 0, false},
    {"fixmap 0", {0x80}, 1, 0, 0, false},
    {"fixmap 1", {0x81}, 1, 0, 2, false},
    {"map16", {0xde, 0, 0}, 3, 0, 0, false},
    {"map32", {0xdf, 0, 0, 0, 0}, 5, 0, 0, false},
};

static size_t build(uint8_t *out, const struct form *form)
{
    memcpy(out, form->head, form->head_len);
    memset(out + form->head_len, 0, form->body + form->items);
    return form->head_len + form->body + form->items;
}

static void only_shortest_forms_pass(void **state)
{
    uint8_t bytes[512];

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t len = build(bytes, &forms[i]), measured = 0;
        int rc = gv_codec_measure(&measured, bytes, len);
        if ((rc == GV_OK) != forms[i].good || (rc == GV_OK && measured != len))
            fail_msg("%s: %d, %zu of %zu", forms[i].name, rc, measured, len);
        assert_true(rc == GV_OK || rc == GV_ERR_MALFORMED);
    }
}

/* Every first byte that the list above does not have is of a type that has no place here. */
static void every_first_byte_is_decided(void **state)
{
    for (unsigned first = 0; first < 256; first++) {
        uint8_t bytes[64] = {(uint8_t)first};
        size_t measured;
        bool allowed = first <= 0x7f || (first >= 0x90 && first <= 0xbf) || first == 0xc4;
        /* All others either say too little (a zero where a shorter form exists) or nothing. */
        assert_int_equal(gv_codec_measure(&measured, bytes, sizeof bytes) == GV_OK, allowed);
    }
}

static void cut_anywhere_is_malformed(void **state)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!forms[i].good)
            continue;
        uint8_t whole[512];
        size_t len = build(whole, &forms[i]), measured;
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut ? cut : 1); /* so that one byte too far is seen */
            assert_non_null(exact);
            memcpy(exact, whole, cut);
            assert_int_equal(gv_codec_measure(&measured, exact, cut), GV_ERR_MALFORMED);
            free(exact);
        }
    }
}

static void counts_are_not_believed(void **state)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
    } lies[] = {{{0xdd, 0x0f, 0xff, 0xff, 0xff, 0x00}, 6},
                {{0xdc, 0xff, 0xff, 0x00}, 4},
                {{0x9f, 0x00, 0x00}, 3},
                {{0xc5, 0xff, 0xff, 0x00}, 4},
                {{0xda, 0xff, 0xff, 0x00}, 4},
                {{0x91, 0xdc, 0xff, 0xff, 0}, 5},
                {{0xc6, 0xff, 0xff, 0xff, 0xff}, 5},
                {{0xdb, 0xff, 0xff, 0xff, 0xff}, 5}};

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct gv_reader reader;
        size_t measured;
        assert_int_equal(gv_codec_measure(&measured, lies[i].bytes, lies[i].len), GV_ERR_MALFORMED);
        assert_int_equal(gv_reader_open(&reader, NULL, lies[i].bytes, lies[i].len),
                         GV_ERR_MALFORMED);
        gv_reader_close(&reader);
    }
}

static void arrays_nest_five_deep(void **state)
{
    for (size_t depth = 1; depth <= 40; depth++) {
        uint8_t bytes[41];
        size_t measured;
        memset(bytes, 0x91, depth);
        bytes[depth] = 0;
        assert_int_equal(gv_codec_measure(&measured, bytes, depth + 1) == GV_OK, depth <= 5);
        bytes[depth - 1] = 0x90; /* the innermost holds nothing, and is an array all the same */
        assert_int_equal(gv_codec_measure(&measured, bytes, depth) == GV_OK, depth <= 5);
    }
}

static void what_follows_is_for_the_caller(void **state)
{
    static const uint8_t two[] = {0x92, 0x01, 0x02, 0x91, 0x03};
    struct gv_reader reader;
    size_t len = 0;

    assert_int_equal(gv_reader_open(&reader, NULL, two, sizeof two), GV_ERR_MALFORMED);
    gv_reader_close(&reader);
    assert_int_equal(gv_reader_open(&reader, &len, two, sizeof two), GV_OK);
    assert_int_equal(len, 3);
    assert_int_equal(gv_get_u64(&reader, 9), 1);
    assert_int_equal(gv_reader_done(&reader), GV_ERR_MALFORMED); /* one left */
    assert_int_equal(gv_get_u64(&reader, 9), 2);
    assert_int_equal(gv_reader_done(&reader), GV_OK);
    gv_reader_close(&reader);
}

static void an_error_sticks(void **state)
{
    static const uint8_t bytes[] = {0x95, 0x05, 0xa1, 'a', 0xc4, 0x01, 0x07, 0x91, 0x01, 0x02};
    struct gv_array_mark mark;
    struct gv_reader reader;
    uint8_t exact[4] = {9, 9, 9, 9};
    size_t len = 5;

    for (int how = 0; how < 7; how++) {
        assert_int_equal(gv_reader_open(&reader, NULL, bytes, sizeof bytes), GV_OK);
        switch (how) {
        case 0: /* too large */
            assert_int_equal(gv_get_u64(&reader, 4), 0);
            break;
        case 1: /* another type */
            assert_null(gv_get_bin(&reader, &len, 0, 9));
            assert_int_equal(len, 0);
            break;
        case 2:
            assert_null(gv_get_str(&reader, &len, 9));
            break;
        case 3:
            assert_int_equal(gv_enter_array(&reader, &mark, 9), 0);
            gv_leave_array(&reader, &mark);
            break;
        case 4: /* too long */
            assert_int_equal(gv_get_u64(&reader, 5), 5);
            assert_null(gv_get_str(&reader, &len, 0));
            break;
        case 5: /* too short */
            (void)gv_get_u64(&reader, 5);
            (void)gv_get_str(&reader, &len, 1);
            gv_get_bin_exact(&reader, exact, sizeof exact);
            assert_int_equal(exact[0] | exact[1] | exact[2] | exact[3], 0);
            break;
        default: /* an inner array left too early */
            (void)gv_get_u64(&reader, 5);
            (void)gv_get_str(&reader, &len, 1);
            assert_non_null(gv_get_bin(&reader, &len, 1, 1));
            assert_int_equal(gv_enter_array(&reader, &mark, 1), 1);
            gv_leave_array(&reader, &mark);
        }
        assert_int_equal(gv_reader_done(&reader), GV_ERR_MALFORMED);
        /* Whatever comes now is zero, and changes nothing. */
        assert_int_equal(gv_get_u64(&reader, UINT64_MAX), 0);
        assert_null(gv_get_bin(&reader, &len, 0, 99));
        assert_null(gv_get_str(&reader, &len, 99));
        assert_int_equal(gv_enter_array(&reader, &mark, 99), 0);
        gv_leave_array(&reader, &mark);
        gv_get_bin_exact(&reader, exact, sizeof exact);
        assert_int_equal(exact[0], 0);
        assert_int_equal(gv_reader_done(&reader), GV_ERR_MALFORMED);
        gv_reader_close(&reader);
    }
}

static void what_is_written_is_read(void **state)
{
    static const uint64_t numbers[] = {0,     127,        128,        255,        256,        65535,
                                       65536, UINT32_MAX, 1ull << 32, UINT64_MAX, 1ull << 63, 1};
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 1000};
    static uint8_t data[1000];

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct gv_array_mark mark;
        struct gv_reader reader;
        struct gv_buf out;
        size_t len;
        gv_buf_init(&out);
        gv_put_array(&out, 3);
        gv_put_bin(&out, data, lengths[i]);
        gv_put_str(&out, (const char *)data, lengths[i]);
        gv_put_array(&out, sizeof numbers / sizeof *numbers);
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
            gv_put_u64(&out, numbers[n]);
        assert_false(out.failed);
        assert_int_equal(gv_reader_open(&reader, NULL, out.data, out.len), GV_OK);
        (void)gv_get_bin(&reader, &len, lengths[i], lengths[i]);
        assert_int_equal(len, lengths[i]);
        (void)gv_get_str(&reader, &len, lengths[i]);
        assert_int_equal(len, lengths[i]);
        assert_int_equal(gv_enter_array(&reader, &mark, 12), 12);
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
            assert_true(gv_get_u64(&reader, UINT64_MAX) == numbers[n]);
        gv_leave_array(&reader, &mark);
        assert_int_equal(gv_reader_done(&reader), GV_OK);
        gv_reader_close(&reader);
        gv_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_shortest_forms_pass),
        cmocka_unit_test(every_first_byte_is_decided),
        cmocka_unit_test(cut_anywhere_is_malformed),
        cmocka_unit_test(counts_are_not_believed),
        cmocka_unit_test(arrays_nest_five_deep),
        cmocka_unit_test(what_follows_is_for_the_caller),
        cmocka_unit_test(an_error_sticks),
        cmocka_unit_test(what_is_written_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
