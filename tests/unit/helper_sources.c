#include "helper_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "proto/ip_address.h"

int stage_open(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);

    assert_non_null(stage);
    setenv("TZ", "UTC", 1);
    tzset();
    strcpy(stage->folder, "/tmp/gv-sources.XXXXXX");
    assert_non_null(mkdtemp(stage->folder));
    stage->access.mode = 0660;
    *state = stage;
    return 0;
}

int stage_close(void **state)
{
    struct stage *stage = *state;

    stage_shell("rm -rf '%s'", stage->folder);
    free(stage);
    return 0;
}

static void on_reading(void *context, const struct gv_reading *reading, size_t source)
{
    struct stage *stage = context;
    char address[GV_IP_ADDRESS_TEXT], attempts[16];
    size_t at = strlen(stage->got);

    (void)source;
    address[gv_ip_address_text(address, &reading->address)] = '\0';
    snprintf(attempts, sizeof attempts, "%u", reading->observation.attempts);
    snprintf(stage->got + at, sizeof stage->got - at, "%s %s|", address,
             reading->observation.success ? "login" : attempts);
    stage->readings++;
}

static void on_tick(uv_timer_t *timer)
{
    struct stage *stage = timer->data;
    uint64_t now = uv_now(&stage->loop);

    if (stage->act && now + 100 >= 200) {
        void (*act)(struct stage *) = stage->act;
        stage->act = NULL;
        act(stage);
    }
    if (stage->until > 0 && stage->readings >= stage->until && stage->end_ms > now + 400)
        stage->end_ms = now + 400; /* for what should not come */
    if (now < stage->end_ms)
        return;
    for (size_t i = 0; i < gv_sources_count(stage->sources); i++) {
        gv_sources_status(stage->sources, &stage->status[i], i);
        stage->positions[i] = stage->status[i].position;
        snprintf(stage->cursors[i], GV_CURSOR_MAX, "%s", stage->status[i].cursor);
    }
    gv_sources_stop(stage->sources);
    uv_close((uv_handle_t *)timer, NULL);
}

void stage_run(struct stage *stage, const char *const *paths, size_t count, unsigned until,
               uint64_t ms)
{
    struct gv_sources_config config = {.paths = paths,
                                       .path_count = count,
                                       .syslog = &stage->access,
                                       .positions = stage->positions,
                                       .cursors = (const char(*)[GV_CURSOR_MAX])stage->cursors,
                                       .from_start = stage->from_start,
                                       .on_reading = on_reading,
                                       .context = stage};

    assert_true(count <= STAGE_SOURCES);
    stage->readings = 0;
    stage->until = until;
    assert_int_equal(uv_loop_init(&stage->loop), 0);
    stage->end_ms = uv_now(&stage->loop) + ms;
    assert_int_equal(gv_sources_new(&stage->sources, &stage->loop, &config), GV_OK);
    assert_int_equal(gv_sources_start(stage->sources), GV_OK);
    uv_timer_init(&stage->loop, &stage->timer);
    stage->timer.data = stage;
    uv_timer_start(&stage->timer, on_tick, 100, 20);
    stage->turns = 0;
    while (uv_run(&stage->loop, UV_RUN_ONCE))
        stage->turns++;
    gv_sources_free(stage->sources);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
}

const char *stage_take(struct stage *stage)
{
    static char text[sizeof stage->got];

    memcpy(text, stage->got, sizeof text);
    stage->got[0] = '\0';
    return text;
}

const char *stage_path(const struct stage *stage, const char *name)
{
    static char paths[4][160];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", stage->folder, name);
    return path;
}

void stage_write(const struct stage *stage, const char *name, const char *mode, const void *bytes,
                 size_t len)
{
    FILE *f = fopen(stage_path(stage, name), mode);

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

const char *stage_line(unsigned n)
{
    static char line[256];
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32];

    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &tm);
    snprintf(line, sizeof line,
             "%s vm dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
             "user=<u>, method=PLAIN, rip=198.51.100.%u, lip=127.0.0.1, session=<s>\n",
             stamp, n);
    return line;
}

void stage_fail(const struct stage *stage, const char *name, unsigned n)
{
    const char *line = stage_line(n);

    stage_write(stage, name, "a", line, strlen(line));
}

void stage_shell(const char *format, ...)
{
    char command[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("%s", command);
}
