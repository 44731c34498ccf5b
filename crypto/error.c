#include "crypto/error.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *gv_strerror(int error)
{
    switch (error) {
#define GV_ERROR_CASE(name, value, text)                                                           \
    case value:                                                                                    \
        return text;
        GV_ERROR_MAP(GV_ERROR_CASE)
#undef GV_ERROR_CASE
    default:
        return "unknown error";
    }
}

static void put(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

void gv_assert_failed(const char *condition, const char *file, int line)
{
    char digits[12];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0 && at > 0);
    put("assertion failed: ");
    put(condition);
    put(" at ");
    put(file);
    put(":");
    put(&digits[at]);
    put("\n");
    abort();
}
