#include "node/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const gv_log_level_names[] = {"error", "warning", "notice", "info", "debug", NULL};

static struct {
    pthread_mutex_t lock; /* for the limits; a line itself is one write */
    char program[32];
    enum gv_log_level most;
    bool journal;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .program = "grapevine", .most = GV_LOG_INFO};

void gv_log_open(const char *program, enum gv_log_level most)
{
    snprintf(state.program, sizeof state.program, "%s", program);
    state.most = most;
    state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void gv_log_set_level(enum gv_log_level most)
{
    state.most = most;
}

/* Length of the UTF-8 sequence at text, 0 if there is none: no overlong forms, no surrogates, and
 * no C1 control characters (U+0080..U+009F), which a terminal obeys like ESC [. */
static size_t utf8_len(const unsigned char *at, size_t left)
{
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    uint32_t least = len == 4 ? 0x10000 : len == 3 ? 0x800 : 0xa0;
    uint32_t value = at[0] & (0x7fU >> len);

    if (at[0] < 0xc2 || at[0] > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3fU);
    }
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    /* Bidirectional and line controls can make a line read as another one. */
    if ((value >= 0x200b && value <= 0x200f) || (value >= 0x2028 && value <= 0x202e) ||
        (value >= 0x2066 && value <= 0x2069) || value == 0xfeff)
        return 0;
    return len;
}

size_t gv_log_safe(char *out, size_t cap, const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;

    if (cap == 0)
        return 0;
    for (size_t i = 0; i < len;) {
        size_t take = at[i] >= 0x20 && at[i] < 0x7f ? 1
                      : at[i] < 0x80                ? 0
                                                    : utf8_len(at + i, len - i);
        if (n + (take ? take : 4) >= cap)
            break;
        if (take) {
            memcpy(out + n, at + i, take);
            n += take;
            i += take;
        } else {
            n += (size_t)snprintf(out + n, 5, "\\x%02x", at[i]);
            i++;
        }
    }
    out[n] = '\0';
    return n;
}

/* One write a line, so that lines of several threads and processes stay whole. */
static void write_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to say so */
        line += n;
        len -= (size_t)n;
    }
}

void gv_log(enum gv_log_level level, const char *format, ...)
{
    char raw[GV_LOG_LINE], line[GV_LOG_LINE + 64];
    int saved = errno;
    va_list args;

    if (level > state.most)
        return;
    va_start(args, format);
    int made = vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    if (made < 0)
        return;
    size_t raw_len = (size_t)made < sizeof raw ? (size_t)made : sizeof raw - 1;
    int head = state.journal ? snprintf(line, 64, "<%d>", (int)level)
                             : snprintf(line, 64, "%s: %s: ", state.program,
                                        gv_log_level_names[level - GV_LOG_ERROR]);
    size_t n = (size_t)head;
    n += gv_log_safe(line + n, GV_LOG_LINE, raw, raw_len);
    line[n++] = '\n';
    write_line(line, n);
    errno = saved;
}

bool gv_log_allow(struct gv_log_limit *limit)
{
    struct timespec now;
    uint32_t dropped = 0;

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t minute = (uint64_t)now.tv_sec / 60 + 1;
    pthread_mutex_lock(&state.lock);
    if (limit->minute != minute) {
        dropped = limit->dropped;
        *limit = (struct gv_log_limit){.minute = minute};
    }
    bool allowed = limit->count < GV_LOG_BURST;
    if (allowed)
        limit->count++;
    else
        limit->dropped++;
    pthread_mutex_unlock(&state.lock);
    if (dropped)
        gv_log(GV_LOG_NOTICE, "%u lines like the next one were left out before", dropped);
    return allowed;
}
