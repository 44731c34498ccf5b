#include "node/cli/observe.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/arguments.h"
#include "node/cli/command.h"
#include "node/cli/observe_counters.h"
#include "node/cli/observe_summary.h"
#include "node/ingest/ingest.h"
#include "node/ingest/mail_flow.h"
#include "node/ingest/past.h"
#include "node/ingest/splitter.h"
#include "node/ingest/timestamp.h"

#define ALLOW_MAX  1024
#define FILES_MAX  256
#define OUT_BUFFER 65536
/* The longest JSON line: its fixed words, three numbers of 20 digits, an address. */
#define JSON_LINE_MAX 512

struct allowed {
    struct gv_ip_address address;
    unsigned bits;
};

struct options {
    bool json;
    bool counters;
    bool lab;
    uint64_t now_ms;
    unsigned count;
    const char *files[FILES_MAX];
    size_t file_count;
    struct allowed *allow;
    size_t allow_count;
};

struct run {
    const struct options *options;
    struct gv_reader *reader;
    struct gv_mail_flow *flow;  /* NULL without --counters */
    struct gv_summary *summary; /* NULL with --json or --counters */
    char out[OUT_BUFFER];
    size_t out_len;
    char time_text[24]; /* of the second time_of; neighbours share it */
    size_t time_len;
    uint64_t time_of;
    int write_error;
    struct gv_past *files; /* in the order of their time stamps */
    uint64_t *before;      /* lines of those before each */
    size_t file_count, current;
};

/* ---- Options --------------------------------------------------------------------------------- */

static const struct argp_option option_list[] = {
    {"json", 'j', NULL, 0, "One JSON object per observed failure; one in all with --counters", 0},
    {"counters", 'm', NULL, 0, "Only the mail flow: received, delivered, bounced, ...", 0},
    {"now", 'n', "RFC3339", 0, "The latest that a stamp without a year can be (default: now)", 0},
    {"lab", 'l', NULL, 0, "Treat documentation addresses as public", 0},
    {"allow", 'a', "ADDRESS[/BITS]...", 0, "Never share these addresses or networks (repeatable)",
     0},
    {"count", 'c', "N", 0, "Rows of each list of the summary (default: 10)", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static bool parse_now(uint64_t *out, const char *text)
{
    char line[GV_STAMP_MAX + 2];
    size_t len = strlen(text);
    struct gv_stamp stamp;
    struct gv_clock clock = {0};

    if (len >= GV_STAMP_MAX)
        return false;
    memcpy(line, text, len);
    line[len] = ' '; /* a stamp ends at a space */
    if (!gv_stamp_find(&stamp, line, len + 1) || stamp.form != GV_STAMP_ISO || stamp.len != len)
        return false;
    char last = text[len - 1];
    bool zoned = last == 'Z' || last == 'z' || (len > 6 && memchr(text + len - 6, '+', 3)) ||
                 (len > 6 && memchr(text + len - 6, '-', 3));
    return zoned && gv_clock_convert(&clock, out, &stamp, 0);
}

static bool parse_one_allow(struct allowed *out, const char *text, size_t text_len)
{
    const char *slash = memchr(text, '/', text_len);
    size_t len = slash ? (size_t)(slash - text) : text_len;
    unsigned bits = 0;

    if (gv_ip_address_parse(&out->address, text, len) != GV_OK)
        return false;
    unsigned most = out->address.family == GV_FAMILY_IPV4 ? 32 : 128;
    out->bits = most;
    if (!slash)
        return true;
    size_t digits = text_len - len - 1;
    if (digits == 0 || digits > 3)
        return false;
    for (size_t i = 1; i <= digits; i++) {
        if (slash[i] < '0' || slash[i] > '9')
            return false;
        bits = 10 * bits + (unsigned)(slash[i] - '0');
    }
    out->bits = bits;
    return bits <= most;
}

/* One or more, with commas between. */
static bool parse_allow(struct options *o, const char *text)
{
    for (;;) {
        size_t len = strcspn(text, ",");

        if (o->allow_count == ALLOW_MAX || !parse_one_allow(&o->allow[o->allow_count], text, len))
            return false;
        o->allow_count++;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;

    switch (key) {
    case 'j':
        o->json = true;
        return 0;
    case 'm':
        o->counters = true;
        return 0;
    case 'l':
        o->lab = true;
        return 0;
    case 'n':
        if (!parse_now(&o->now_ms, text))
            argp_error(state, "--now needs a time like 2026-11-22T12:00:00Z");
        return 0;
    case 'a':
        if (!parse_allow(o, text))
            argp_error(state, "--allow needs addresses like 192.0.2.7 or 2001:db8::/32, at most %d",
                       ALLOW_MAX);
        return 0;
    case 'c': {
        unsigned long n = strtoul(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > 10000)
            argp_error(state, "--count needs a number from 0 to 10000");
        o->count = (unsigned)n;
        return 0;
    }
    case ARGP_KEY_ARG:
        /* "--allow ADDRESS ADDRESS": no file is called like an address. */
        if (o->allow_count > 0 && parse_allow(o, text))
            return 0;
        if (o->file_count == FILES_MAX)
            argp_error(state, "at most %d files at a time", FILES_MAX);
        o->files[o->file_count++] = text;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_allowed(const struct options *o, const struct gv_ip_address *address)
{
    for (size_t i = 0; i < o->allow_count; i++) {
        const struct allowed *a = &o->allow[i];
        size_t whole = a->bits / 8;
        unsigned rest = a->bits % 8;

        if (a->address.family != address->family ||
            memcmp(a->address.bytes, address->bytes, whole) != 0)
            continue;
        if (rest == 0 || (a->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0)
            return true;
    }
    return false;
}

/* ---- Output ---------------------------------------------------------------------------------- */

static void flush_out(struct run *run)
{
    size_t done = 0;

    while (done < run->out_len && !run->write_error) {
        ssize_t n = write(STDOUT_FILENO, run->out + done, run->out_len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            run->write_error = errno;
    }
    run->out_len = 0;
}

static void put(struct run *run, const char *text, size_t len)
{
    memcpy(run->out + run->out_len, text, len);
    run->out_len += len;
}
#define PUT(run, literal) put((run), (literal), sizeof(literal) - 1)

static void put_text(struct run *run, const char *text)
{
    put(run, text, strlen(text));
}

static void put_number(struct run *run, uint64_t value, unsigned width)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || sizeof digits - at < width);
    put(run, digits + at, sizeof digits - at);
}

/* "2026-11-22T02:36:26Z"; the date of a day since 1970 by Howard Hinnant's civil calendar sums. */
static void put_time(struct run *run, uint64_t ms)
{
    uint64_t seconds = ms / 1000, of_day = seconds % 86400;
    size_t start = run->out_len;
    uint64_t days = seconds / 86400 + 719468;
    uint64_t era = days / 146097, of_era = days % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint64_t shifted = (5 * of_year + 2) / 153; /* months from March */
    uint64_t month = shifted < 10 ? shifted + 3 : shifted - 9;

    if (run->time_len > 0 && run->time_of == seconds) {
        put(run, run->time_text, run->time_len);
        return;
    }
    put_number(run, year + era * 400 + (month <= 2), 4);
    PUT(run, "-");
    put_number(run, month, 2);
    PUT(run, "-");
    put_number(run, of_year - (153 * shifted + 2) / 5 + 1, 2);
    PUT(run, "T");
    put_number(run, of_day / 3600, 2);
    PUT(run, ":");
    put_number(run, of_day / 60 % 60, 2);
    PUT(run, ":");
    put_number(run, of_day % 60, 2);
    PUT(run, "Z");
    run->time_of = seconds;
    run->time_len = run->out_len - start;
    if (run->time_len > sizeof run->time_text)
        run->time_len = 0; /* a year of more than four digits */
    memcpy(run->time_text, run->out + start, run->time_len);
}

/* Which of the files a line is in: of the current one mostly; a drop may be settled later. */
static size_t file_of(const struct run *run, uint64_t line)
{
    size_t i = run->current;

    while (i > 0 && line <= run->before[i])
        i--;
    return i;
}

/* ,"file":"NAME", its name as it was given. */
static void put_file(struct run *run, const char *name)
{
    static const char hex[] = "0123456789abcdef";

    PUT(run, ",\"file\":\"");
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;

        if (run->out_len > OUT_BUFFER - 16)
            flush_out(run);
        if (c == '"' || c == '\\')
            put(run, "\\", 1);
        if (c >= ' ') {
            put(run, name, 1);
        } else {
            PUT(run, "\\u00");
            put(run, &hex[c >> 4], 1);
            put(run, &hex[c & 15], 1);
        }
    }
    PUT(run, "\"");
}

/* No text of the log goes in here: an address, numbers and words of our own. */
static void put_json(struct run *run, const struct gv_reading *r, bool shareable)
{
    char address[GV_IP_ADDRESS_TEXT];

    if (run->out_len > OUT_BUFFER - JSON_LINE_MAX)
        flush_out(run);
    PUT(run, "{\"line\":");
    put_number(run, r->line - run->before[file_of(run, r->line)], 1);
    PUT(run, ",\"time\":\"");
    put_time(run, r->observation.unix_ms);
    PUT(run, "\",\"ip\":\"");
    put(run, address, gv_ip_address_text(address, &r->address));
    PUT(run, "\",\"mta\":\"");
    put_text(run, gv_mta_name(r->mta));
    PUT(run, "\",\"service\":\"");
    put_text(run, gv_service_name(r->observation.service));
    PUT(run, "\",\"kind\":\"");
    put_text(run, gv_kind_name(r->observation.kind));
    PUT(run, "\",\"attempts\":");
    put_number(run, r->observation.attempts, 1);
    if (shareable)
        PUT(run, ",\"shareable\":true");
    else
        PUT(run, ",\"shareable\":false");
    if (run->file_count > 1)
        put_file(run, run->files[file_of(run, r->line)].name);
    PUT(run, "}\n");
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void take(struct run *run, const struct gv_reading *readings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct gv_reading *r = &readings[i];
        const struct gv_observation *o = &r->observation;

        if (run->options->counters) {
            continue;
        } else if (run->summary) {
            gv_summary_add(run->summary, r, is_allowed(run->options, &r->address));
        } else if (!o->success && !o->refused) {
            put_json(run, r,
                     gv_subject_shareable(&o->subject, run->options->lab) &&
                         !is_allowed(run->options, &r->address));
        }
    }
}

static void take_buffer(struct run *run, struct gv_splitter *splitter)
{
    struct gv_reading readings[GV_READINGS_MAX];
    const char *line;
    size_t len, n;
    enum gv_split split;

    while ((split = gv_splitter_next(splitter, &line, &len)) != GV_SPLIT_NONE) {
        if (split == GV_SPLIT_SKIPPED)
            gv_reader_skip(run->reader);
        else if ((n = gv_reader_line(run->reader, readings, line, len, run->options->now_ms)) > 0)
            take(run, readings, n);
    }
}

static void take_rest(struct run *run, struct gv_splitter *splitter)
{
    struct gv_reading readings[GV_READINGS_MAX];
    const char *line;
    size_t len;

    if (gv_splitter_rest(splitter, &line, &len))
        take(run, readings,
             gv_reader_half_line(run->reader, readings, line, len, run->options->now_ms));
    else if (splitter->skipping)
        gv_reader_skip(run->reader);
    gv_splitter_reset(splitter, false);
}

/* Returns 0 or what gv_past_read said. */
static ssize_t read_file(struct run *run, struct gv_splitter *splitter, struct gv_past *file)
{
    ssize_t n = -gv_past_resume(file);

    while (n >= 0 && !run->write_error) {
        size_t space;
        char *into = gv_splitter_space(splitter, &space);

        n = gv_past_read(file, into, space);
        if (n <= 0)
            break;
        gv_splitter_filled(splitter, (size_t)n);
        take_buffer(run, splitter);
        if ((size_t)n < space)
            flush_out(run); /* the input waits, so somebody may be watching */
    }
    gv_past_close(file);
    take_rest(run, splitter);
    return n < 0 ? n : 0;
}

static const char *name_of(const struct gv_past *file)
{
    return strcmp(file->name, "-") == 0 ? "standard input" : file->name;
}

/* Returns the exit status. A file that breaks off is told of; the others are read all the same. */
static int read_all(struct run *run)
{
    struct gv_reading readings[GV_READINGS_MAX];
    struct gv_splitter splitter;
    int status = EX_OK;
    size_t n;

    if (!gv_splitter_init(&splitter))
        return gv_cli_no_memory();
    for (size_t i = 0; i < run->file_count; i++) {
        run->current = i;
        run->before[i] = gv_reader_counters(run->reader)->lines;
        gv_reader_next_log(run->reader);
        ssize_t rc = read_file(run, &splitter, &run->files[i]);
        if (rc == 0)
            continue;
        flush_out(run);
        fprintf(stderr, "grapevine observe: %s: %s\n", name_of(&run->files[i]), gv_past_error(rc));
        status = rc == -EISDIR ? EX_NOINPUT : EX_IOERR;
    }
    while ((n = gv_reader_flush(run->reader, readings)) > 0)
        take(run, readings, n);
    flush_out(run);
    gv_splitter_free(&splitter);
    return status;
}

static int open_all(struct run *run, const struct options *o)
{
    static const char *const input[] = {"-"};
    const char *const *names = o->file_count ? o->files : input;

    run->file_count = o->file_count ? o->file_count : 1;
    run->files = calloc(run->file_count, sizeof *run->files);
    run->before = calloc(run->file_count, sizeof *run->before);
    if (!run->files || !run->before)
        return gv_cli_no_memory();
    for (size_t i = 0; i < run->file_count; i++) {
        int error = gv_past_open(&run->files[i], names[i], o->now_ms, run->file_count > 1);
        if (error == 0) {
            if (run->file_count > 1)
                gv_past_rest(&run->files[i]);
            continue;
        }
        fprintf(stderr, "grapevine observe: %s: %s\n", name_of(&run->files[i]),
                gv_past_error(-error));
        return EX_NOINPUT;
    }
    gv_past_sort(run->files, run->file_count);
    return EX_OK;
}

static bool make_run(struct run *run, const struct options *o)
{
    struct gv_reader_config config = {.ahead_ms = 0};
    struct gv_mail_flow_config flow = {.on_count = NULL};

    run->options = o;
    randombytes_buf(&flow.key, sizeof flow.key);
    run->flow = o->counters ? gv_mail_flow_new(&flow) : NULL;
    /* The hashes live as long as this run, so their key may be any. */
    randombytes_buf(config.key, sizeof config.key);
    config.flow = run->flow;
    run->reader = gv_reader_new(&config);
    bool summary = !o->json && !o->counters;
    run->summary = summary ? gv_summary_new(o->lab) : NULL;
    return run->reader && (!o->counters || run->flow) && (!summary || run->summary);
}

/* Not of the observations that a script reads. */
static void complain(const struct gv_reader_counters *c)
{
    if (c->unnamed > 0)
        fprintf(stderr,
                "grapevine observe: %" PRIu64
                " failed attempts of clients whom the log does not name "
                "(Sendmail with LogLevel 10 does)\n",
                c->unnamed);
    if (c->torn > 0)
        fprintf(stderr,
                "grapevine observe: %" PRIu64
                " failures whose lines cannot be told from torn ones; they count nothing\n",
                c->torn);
}

static void print_report(struct run *run, const struct options *o)
{
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    bool whole = true;

    if (o->counters && o->json) {
        whole = gv_counters_json(run->flow, stdout);
    } else if (o->counters) {
        gv_counters_print(run->flow, stdout, colour);
    } else if (run->summary) {
        gv_summary_print(run->summary, stdout, gv_reader_counters(run->reader), o->count, colour);
    } else {
        complain(gv_reader_counters(run->reader));
    }
    if (fflush(stdout) != 0)
        run->write_error = errno;
    else if (!whole)
        run->write_error = ENOMEM;
}

static int observe(struct run *run, const struct options *o)
{
    int status = open_all(run, o);

    if (status != EX_OK)
        return status;
    if (!make_run(run, o)) {
        fprintf(stderr, "grapevine observe: %s\n", strerror(ENOMEM));
        return EX_OSERR;
    }
    status = read_all(run);
    if (!run->write_error && status != EX_NOINPUT)
        print_report(run, o);
    if (run->write_error) {
        fprintf(stderr, "grapevine observe: writing: %s\n", strerror(run->write_error));
        return EX_IOERR;
    }
    return status;
}

int gv_cli_observe(int argc, char **argv)
{
    static const struct argp argp = {
        option_list,
        parse_option,
        "[FILE...|-]",
        "Print what would be learnt from mail logs, plain or gzip, read in the order of their time "
        "stamps. Nothing is sent, and no account is shown.",
        NULL,
        NULL,
        NULL};
    static char name[] = "grapevine observe"; /* in what argp says */
    struct allowed *allow = calloc(ALLOW_MAX, sizeof *allow);
    struct run *run = calloc(1, sizeof *run);
    struct options options = {
        .count = 10, .allow = allow, .now_ms = (uint64_t)time(NULL) * 1000 + 999};
    int status = EX_OSERR;

    if (allow && run && sodium_init() >= 0) {
        argv[0] = name;
        gv_arguments(&argp, argc, argv, 0, &options);
        status = observe(run, &options);
    }
    if (!allow || !run)
        status = gv_cli_no_memory();
    if (run) {
        gv_reader_free(run->reader);
        gv_mail_flow_free(run->flow);
        gv_summary_free(run->summary);
        for (size_t i = 0; run->files && i < run->file_count; i++)
            gv_past_close(&run->files[i]);
        free(run->files);
        free(run->before);
    }
    free(run);
    free(allow);
    return status;
}
