/* Whether a log file is what it was when it was last read to its end: one system call tells, where
 * looking at it again takes seven, four times a second and day and night at a host where nobody
 * fails to log in. */
#ifndef GV_INGEST_STILL_H
#define GV_INGEST_STILL_H

#include <stdbool.h>
#include <sys/stat.h>

/* A file that changed as lately as this is always looked at: within one tick of a file system's
 * clock it may change twice, and a line whose end is still to come is waited for in looks. */
#define GV_STILL_S 10
/* So often in a row it is not looked at, two seconds: what no time tells is not overlooked for
 * long. */
#define GV_STILL_MAX 8

struct gv_still {
    struct stat was; /* when the last look began */
    bool known;      /* that look found the end */
    unsigned left;   /* looks to be spared yet */
};

/* Before a look. True: nothing has changed, and it may be spared. */
bool gv_still(struct gv_still *still, const char *path);
/* After one. at_end: all was read, and nothing is waited for. */
void gv_still_looked(struct gv_still *still, bool at_end);

#endif
