#include "node/host/supervisor.h"

#include <stdint.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    (void)sd_notify(0, "WATCHDOG=1");
}

void gv_supervisor_ready(uv_loop_t *loop, uv_timer_t *watchdog)
{
    uint64_t every_us = 0;

    uv_timer_init(loop, watchdog);
    uv_unref((uv_handle_t *)watchdog);
    /* Three times within the time that is given. */
    if (sd_watchdog_enabled(0, &every_us) > 0 && every_us >= 3000)
        uv_timer_start(watchdog, on_watchdog, 0, every_us / 3000);
    (void)sd_notify(0, "READY=1");
}

void gv_supervisor_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                     (unsigned long long)now.tv_sec * 1000000 +
                         (unsigned long long)now.tv_nsec / 1000);
}

void gv_supervisor_reloaded(void)
{
    (void)sd_notify(0, "READY=1");
}

void gv_supervisor_stopping(uv_timer_t *watchdog)
{
    (void)sd_notify(0, "STOPPING=1");
    if (watchdog->loop && !uv_is_closing((uv_handle_t *)watchdog))
        uv_close((uv_handle_t *)watchdog, NULL);
}
