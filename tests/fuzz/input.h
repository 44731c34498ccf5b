/* What a fuzz target decodes its choices from: bytes, and zeros when there are none left. */
#ifndef GV_TESTS_FUZZ_INPUT_H
#define GV_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *data;
    size_t left;
};

static inline uint8_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->data++;
}

#endif
