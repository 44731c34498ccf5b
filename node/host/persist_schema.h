/* The statements of the store. Private to node/host/persist*.c. */
#ifndef GV_NODE_HOST_PERSIST_SCHEMA_H
#define GV_NODE_HOST_PERSIST_SCHEMA_H

#include <sqlite3.h>
#include <sys/types.h>

#include "node/base/db.h"
#include "node/base/statistics.h"
#include "node/base/store.h"
#include "node/host/checkpoint.h"
#include "node/host/persist.h"
#include "proto/buf.h"

enum gv_persist_sql {
    GV_SQL_PUT_RECORD,
    GV_SQL_PUT_HISTORY,
    GV_SQL_PUT_LIST,
    GV_SQL_PUT_SELF,
    GV_SQL_PUT_PEER,
    GV_SQL_PUT_SENT,
    GV_SQL_PUT_ACK,
    GV_SQL_DELETE_RECORD,
    GV_SQL_DELETE_HISTORY,
    GV_SQL_DELETE_LIST,
    GV_SQL_DELETE_SELF,
    GV_SQL_DELETE_PEER,
    GV_SQL_DELETE_SENT,
    GV_SQL_DELETE_ACK,
    GV_SQL_MARK_SENT,
    GV_SQL_MARK_PREVIEW,
    GV_SQL_PUT_KEPT,
    GV_SQL_GET_KEPT,
    GV_SQL_LIST_SENT,
    GV_SQL_LIST_ABOUT,
    GV_SQL_ONE_SENT,
    GV_SQL_LIST_ACKS,
    GV_SQL_EXPIRE_ACKS,
    GV_SQL_EXPIRE_SENT,
    GV_SQL_GET_RECORD,
    GV_SQL_PUT_JOURNAL,
    GV_SQL_LIST_JOURNAL,
    GV_SQL_EXPIRE_JOURNAL,
    GV_SQL_SHRINK_JOURNAL,
    GV_SQL_EXPIRE_ERASED,
    GV_SQL_PUT_STATISTIC,
    GV_SQL_GET_STATISTIC,
    GV_SQL_LIST_STATISTIC,
    GV_SQL_LATEST_STATISTIC,
    GV_SQL_EXPIRE_STATISTIC,
    GV_SQL_BEGIN,
    GV_SQL_COMMIT,
    GV_SQL_COUNT
};
extern const char *const gv_persist_sql_text[GV_SQL_COUNT];

/* The store, its log of writes and the index over that. */
#define GV_PERSIST_FILES 3
struct gv_persist_file {
    bool known; /* there was one */
    dev_t device;
    ino_t inode;
};

#define GV_PERSIST_LOCK_MS 250 /* who asks this node something waits for no longer than that */

struct gv_persist {
    sqlite3 *db;
    sqlite3_stmt *sql[GV_SQL_COUNT];
    uint8_t store_key[GV_KEY_LEN]; /* secret */
    bool full_sync;                /* what PRAGMA synchronous stands at */
    struct gv_buf kept;            /* entries of struct gv_persist_entry, waiting for a commit */
    struct gv_hmac_state mac_key;  /* the same, worked in. Secret */
    struct gv_buf left;            /* a record that leaves the set, on its way to the journal */
    struct gv_persist_minute *minutes; /* of the flow of mail, waiting for a commit; in no order */
    size_t minute_count, minute_cap;
    struct gv_persist_latest {
        bool known, held; /* `newest` is; `row` is that of `start` as it is stored */
        uint64_t newest;  /* no row of that step begins later */
        uint64_t start;   /* minutes, as above */
        struct gv_statistics row;
    } latest[2]; /* minutes, hours: lines go on where those before them ended */
    char *path, *number_path;
    uint64_t ceiling; /* what the file at number_path says; 0: nothing */
    bool number_bad;  /* it is there and cannot be believed */
    bool log_left;    /* gv_persist_empty_log did not */
    bool log_names;   /* the log of writes still has the name of who logged in since */
    struct gv_persist_file files[GV_PERSIST_FILES]; /* as they were when they were opened */
    unsigned stuck;      /* commits in a row that a lock was in the way of, or failed over one */
    int lock_ms;         /* for so long a lock that another program has is waited for */
    struct gv_text full; /* not "": the disk is, the file is open for reading alone, and why */
    struct gv_checkpoint *checkpoint; /* NULL: within the commits */
    void (*copied)(void *context);    /* gv_persist_apart */
    void *copied_context;
};

struct gv_persist_minute {
    uint64_t minute;
    struct gv_statistics change;
};
/* Whether a subject was erased, and is not to be journalled. */
bool gv_persist_is_erased(struct gv_persist *persist, const struct gv_subject *subject,
                          uint64_t unix_ms);
/* As a part of gv_persist_open, and of gv_persist_commit before all else: the file `number`. */
int gv_persist_number_open(struct gv_persist *persist);
int gv_persist_reserve(struct gv_persist *persist, const struct gv_effects *effects,
                       struct gv_text *error);
/* As the end of opening it: what lies under the store's names. */
void gv_persist_place_open(struct gv_persist *persist);
/* Whether that still lies there. Otherwise all that is open is written into a new file under the
 * store's name, which is to be opened then (*again); what lay there is set aside. Told in the log.
 * GV_OK, or GV_ERR_IO (disk full): it may be tried again. */
int gv_persist_keep_place(struct gv_persist *persist, bool *again, struct gv_text *error);
/* As a part of gv_persist_commit: the minutes that wait, into their rows. */
int gv_persist_put_minutes(struct gv_persist *persist, uint64_t unix_ms);
/* Rows of the flow of mail have changed on disk behind its back, or a transaction was undone. */
void gv_persist_forget_latest(struct gv_persist *persist);

/* gv_store_mac under the store's key. */
void gv_persist_mac(const struct gv_persist *persist, uint8_t out[GV_PERSIST_MAC], uint8_t table,
                    const void *key, size_t key_len, const void *value, size_t value_len);
/* Own statements in which these bytes stand, as gv_persist_telemetry. (persist_read.c) */
int gv_persist_list_about(struct gv_persist *persist, const void *bytes, size_t len, size_t limit,
                          gv_persist_each_sent each, void *context);
/* Compares with the column's MAC in constant time. */
bool gv_persist_genuine(const struct gv_persist *persist, sqlite3_stmt *row, int mac_column,
                        uint8_t table, const void *key, size_t key_len, const void *value,
                        size_t value_len);

#endif
