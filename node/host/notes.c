#include "node/host/notes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/text.h"
#include "node/host/driver.h"

/* Which level, and what an admin can do about it. */
static const struct {
    enum gv_log_level level;
    const char *advice;
} lines[GV_NOTE_COUNT] = {
    [GV_NOTE_PEER_UP] = {GV_LOG_INFO, NULL},
    [GV_NOTE_PEER_DOWN] = {GV_LOG_INFO, NULL},
    [GV_NOTE_HANDSHAKE_FAILED] = {GV_LOG_INFO, NULL},
    [GV_NOTE_PEER_REFUSED] = {GV_LOG_NOTICE, NULL},
    [GV_NOTE_CONNECT_FAILED] = {GV_LOG_INFO, "it is tried again by itself"},
    [GV_NOTE_OBSERVED] = {GV_LOG_DEBUG, NULL},
    [GV_NOTE_LOCKED] = {GV_LOG_INFO, NULL},
    [GV_NOTE_OWN_LOCK] = {GV_LOG_INFO, NULL},
    [GV_NOTE_BROKEN_LOGIN] = {GV_LOG_WARNING,
                              "many clients that usually log in fail now: check the "
                              "authentication backend of the mail server"},
    [GV_NOTE_SIGNALLED] = {GV_LOG_INFO, NULL},
    [GV_NOTE_PREVIEWED] = {GV_LOG_INFO, "set [share] mode = yes to send such signals"},
    [GV_NOTE_SIGNAL_HELD] = {GV_LOG_INFO, NULL},
    [GV_NOTE_ACKNOWLEDGED] = {GV_LOG_DEBUG, NULL},
    [GV_NOTE_RETRACTED] = {GV_LOG_NOTICE, NULL},
    [GV_NOTE_VERDICT] = {GV_LOG_INFO, NULL},
    [GV_NOTE_EVIDENCE] = {GV_LOG_DEBUG, NULL},
    [GV_NOTE_FAULT] = {GV_LOG_NOTICE, "its owner's word weighs nothing from now on"},
    [GV_NOTE_CLOCK_OFF] = {GV_LOG_WARNING, "set the clock, with NTP for instance: signals that "
                                           "are 10 minutes off are not accepted"},
    [GV_NOTE_CERTIFICATE] = {GV_LOG_NOTICE, NULL},
    [GV_NOTE_SELF_REVOKED] = {GV_LOG_ERROR,
                              "this node's signals are no longer accepted; ask the registry, or "
                              "enrol with a new key"},
    [GV_NOTE_SELF_ELSEWHERE] = {GV_LOG_ERROR,
                                "stop one of the two, remove its key file and enrol it anew; a "
                                "key that speaks with two voices loses its standing"},
    [GV_NOTE_DESCRIPTOR] = {GV_LOG_NOTICE, NULL},
    [GV_NOTE_SET_FULL] = {GV_LOG_WARNING, "raise [limits] statements"},
    [GV_NOTE_MEMORY] = {GV_LOG_ERROR, "give this service more memory, or lower [limits]"},
    [GV_NOTE_NEWS_REFUSED] = {GV_LOG_WARNING, "check [network] registry and id"},
    [GV_NOTE_TWO_FACES] = {GV_LOG_ERROR,
                           "it may have minted identities: tell the other admins, and see "
                           "`grapevine doctor`"},
    [GV_NOTE_ROW_REFUSED] = {GV_LOG_NOTICE, NULL},
};

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum |= bytes[i];
    return sum == 0;
}

struct line {
    char text[512];
    size_t len;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *format, ...)
{
    va_list args;

    if (line->len + 1 >= sizeof line->text)
        return;
    va_start(args, format);
    int n = vsnprintf(line->text + line->len, sizeof line->text - line->len, format, args);
    va_end(args);
    line->len += n > 0 ? (size_t)n : 0;
    if (line->len >= sizeof line->text)
        line->len = sizeof line->text - 1;
}

static void describe(struct line *line, const struct gv_effect *note, const char *unnamed)
{
    char address[GV_ADDRESS_TEXT], subject[GV_SUBJECT_TEXT], id[2 * GV_ID_LEN + 1];

    add(line, "%s", gv_note_text(note->note));
    if (note->note == GV_NOTE_OBSERVED) {
        /* A user's slip of the finger is one, too: his address is no matter of the log (SPEC 15).
         */
        add(line, ": %" PRId64 " attempts", note->number);
    } else if (note->subject.family != GV_FAMILY_NONE) {
        gv_subject_text(subject, &note->subject);
        add(line, ": %s", unnamed ? unnamed : subject);
    }
    if (note->address.family != GV_FAMILY_NONE) {
        gv_address_text(address, &note->address);
        add(line, ": %s", address);
    }
    if (!is_zero(note->instance, sizeof note->instance)) {
        gv_hex(id, note->instance, sizeof note->instance);
        add(line, ", instance %s", id);
    }
    if (note->note == GV_NOTE_VERDICT)
        add(line, " is %s now, was %s (weight %" PRId64 ")", gv_verdict_state_name(note->to),
            gv_verdict_state_name(note->from), note->number);
    if (note->note == GV_NOTE_OWN_LOCK && note->number == 0)
        add(line, ", not any more");
    else if (note->note == GV_NOTE_OWN_LOCK)
        add(line, ", for %" PRId64 " s", note->number);
    if (note->note == GV_NOTE_CLOCK_OFF)
        add(line, ": by %" PRId64 " s", note->number / 1000);
    if (note->error != GV_OK)
        add(line, ": %s", gv_strerror(note->error));
    if (lines[note->note].advice)
        add(line, "; %s", lines[note->note].advice);
}

void gv_notes_log(const struct gv_effect *note, const char *unnamed)
{
    static struct gv_log_limit limits[GV_NOTE_COUNT];
    struct line line = {.len = 0};

    if (note->note >= GV_NOTE_COUNT || !gv_log_allow(&limits[note->note]))
        return;
    describe(&line, note, unnamed);
    gv_log(lines[note->note].level, "%s", line.text);
}
