/* What systemd is told of this daemon (sd_notify(3), Type=notify): that it is ready, reloads,
 * stops, and that its loop still turns (WatchdogSec=). Nothing happens where nobody asked for it.
 */
#ifndef GV_NODE_HOST_SUPERVISOR_H
#define GV_NODE_HOST_SUPERVISOR_H

#include <uv.h>

/* Once all is started. From then on the watchdog is fed from the loop; the timer does not keep the
 * loop alive and is the caller's, until gv_supervisor_stopping closes it. */
void gv_supervisor_ready(uv_loop_t *loop, uv_timer_t *watchdog);
void gv_supervisor_reloading(void);
void gv_supervisor_reloaded(void);
void gv_supervisor_stopping(uv_timer_t *watchdog);

#endif
