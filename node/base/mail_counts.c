#include "node/base/mail_counts.h"

#define X(name, json, text) json,
static const char *const names[] = {GV_MAIL_COUNTS(X)};
#undef X
#define X(name, json, text) text,
static const char *const texts[] = {GV_MAIL_COUNTS(X)};
#undef X

const char *gv_mail_count_name(enum gv_mail_count which)
{
    return names[which];
}

const char *gv_mail_count_text(enum gv_mail_count which)
{
    return texts[which];
}
