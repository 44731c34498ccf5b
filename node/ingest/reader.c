#include "node/ingest/ingest.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/assemble.h"
#include "node/ingest/lengths.h"
#include "node/ingest/line.h"
#include "node/ingest/mail_flow.h"
#include "node/ingest/parse.h"
#include "node/ingest/repeated.h"
#include "node/ingest/timestamp.h"
#include "node/ingest/words.h"

_Static_assert(GV_ACCOUNT_KEY_LEN == crypto_shorthash_KEYBYTES, "SipHash-2-4 takes 16 bytes");

/* A failure, as its line said it. No text of the client's is in it. */
struct failure {
    bool known;
    uint8_t stamp_len;
    uint8_t stamp_form;
    char stamp[GV_STAMP_MAX];
    uint64_t host; /* hashed */
    struct gv_parsed parsed;
    struct gv_moment moment;
};

/* What a line said that may have been cut off, until another shows that it was not. */
#define DOUBTED 32
#define LET_GO  4 /* of them at most by one line */
struct doubt {
    bool known;
    uint64_t program;
    uint64_t len;
    struct gv_parsed parsed;
    struct gv_moment moment;
};

struct gv_reader {
    uint8_t key[GV_ACCOUNT_KEY_LEN];
    struct gv_clock clock;
    struct gv_line_prefix prefix;
    struct gv_line line; /* the one that is read; not on the stack, which most lines do not need */
    uint64_t sender;     /* of an smtpd's line: which process, hashed */
    struct gv_assembler *assembler;
    struct gv_mail_flow *flow;
    void (*look)(void *context, uint64_t ms);
    void *look_context;
    struct gv_reader_counters counters;
    bool never_cut;
    struct gv_lengths lengths;
    struct doubt doubts[DOUBTED]; /* the latest of them, in the order of the log */
    struct failure before;        /* what the line before told of: for "last message repeated" */
};

struct gv_reader *gv_reader_new(const struct gv_reader_config *config)
{
    struct gv_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return NULL;
    reader->assembler = gv_assembler_new(config->hints, &reader->counters);
    if (!reader->assembler) {
        free(reader);
        return NULL;
    }
    memcpy(reader->key, config->key, sizeof reader->key);
    reader->clock.ahead_ms = config->ahead_ms;
    reader->flow = config->flow;
    reader->look = config->look;
    reader->look_context = config->look_context;
    reader->prefix.mail = config->flow != NULL;
    reader->never_cut = config->never_cut || config->never_torn;
    reader->line.whole = config->never_torn;
    return reader;
}

void gv_reader_free(struct gv_reader *reader)
{
    if (!reader)
        return;
    gv_assembler_free(reader->assembler);
    sodium_memzero(reader->key, sizeof reader->key);
    free(reader);
}

const struct gv_reader_counters *gv_reader_counters(const struct gv_reader *reader)
{
    return &reader->counters;
}

uint64_t gv_reader_time(const struct gv_reader *reader)
{
    return reader->clock.last_ms;
}

void gv_reader_next_log(struct gv_reader *reader)
{
    reader->prefix.exim = false;
    memset(&reader->lengths, 0, sizeof reader->lengths);
    memset(reader->doubts, 0, sizeof reader->doubts);
}

void gv_reader_skip(struct gv_reader *reader)
{
    reader->counters.lines++;
    reader->counters.skipped++;
    reader->before.known = false;
}

/* The host and the first `len` bytes of the sender. */
static uint64_t mix_line(uint64_t h, const struct gv_line *line, size_t len)
{
    if (line->host_len > 0)
        h = gv_mix_bytes(h, line->host, line->host_len);
    return gv_mix_bytes(h, line->sender, len);
}

static uint64_t connection_of(uint64_t h, const struct gv_line *line,
                              const struct gv_ip_address *address)
{
    if (!line->has_pid)
        h = gv_mix_bytes(h ^ address->family, (const char *)address->bytes, sizeof address->bytes);
    return h ? h : 1;
}

/* Exim's and Sendmail's lines have no beginning and no end: what tells one visit from another is
 * the process and, where Exim logs it, the port. */
static uint64_t visit_of(const struct gv_line *line, const struct gv_parsed *p)
{
    uint64_t h = mix_line(0x7669736974u, line, line->sender_len);

    if (p->mta == GV_MTA_EXIM)
        h = gv_mix_bytes(h, p->session.at, p->session.len);
    h = gv_mix_bytes(h ^ p->address.family, (const char *)p->address.bytes,
                     sizeof p->address.bytes);
    return h ? h : 1;
}

/* Which client of a program: by process and address for Cyrus, by address and port for Courier,
 * which names no process. */
static uint64_t client_of(uint64_t sender, const struct gv_parsed *p)
{
    uint64_t h = gv_mix_bytes(sender ^ p->address.family, (const char *)p->address.bytes,
                              sizeof p->address.bytes);

    h = gv_mix_bytes(h, (const char *)&p->port, sizeof p->port);
    return h ? h : 1;
}

static uint64_t hash_text(const struct gv_reader *reader, const struct gv_span *name, bool fold)
{
    uint64_t words[32];
    char *lower = (char *)words, hash[crypto_shorthash_BYTES];
    size_t len = name->len < sizeof words ? name->len : sizeof words;
    uint64_t value;

    memcpy(lower, name->at, len);
    for (size_t i = 0; fold && i < len; i += 8)
        gv_fold8(lower + i);
    crypto_shorthash((uint8_t *)hash, (const uint8_t *)lower, len, reader->key);
    memcpy(&value, hash, sizeof value);
    for (size_t i = 0; i < (len + 7) / 8; i++)
        ((volatile uint64_t *)words)[i] = 0; /* three or four mostly: a call costs more */
    return value ? value : 1;
}

/* The name in lower case if `fold`, hashed; 0 only for no name. */
static inline uint64_t hash_name(const struct gv_reader *reader, const struct gv_span *name,
                                 bool fold)
{
    return name->len > 0 ? hash_text(reader, name, fold) : 0;
}

/* Sendmail's queue ids begin with the second in which their process made the first of them (six
 * bytes), a number (two), and the process: what is left without the number no other process has,
 * not even one that gets the same pid later. */
#define ID_SECOND  6u
#define ID_PROCESS 8u
static uint64_t cut_of(const struct gv_reader *reader, const struct gv_line *line,
                       const struct gv_parsed *p)
{
    const struct gv_span *id = &p->session;

    if (p->origin.len == 0 || id->len <= ID_PROCESS || !line->has_pid)
        return 0;
    uint64_t h = mix_line(hash_name(reader, &p->origin, false), line, line->sender_len);
    h = gv_mix_bytes(h, id->at, ID_SECOND);
    return gv_mix_bytes(h, id->at + ID_PROCESS, id->len - ID_PROCESS) | 1;
}

/* Which process wrote the line, of a server that says whom it has met. */
static uint64_t met_of(const struct gv_line *line)
{
    return line->has_pid ? mix_line(0x6d6574u, line, line->sender_len) | 1 : 0;
}

/* A failure whose line cuts its client off is of the one that this process has met. */
static void name_client(const struct gv_reader *reader, const struct gv_line *line,
                        struct gv_parsed *p, uint64_t ms)
{
    const struct gv_ip_address *client =
        gv_assembler_met(reader->assembler, met_of(line), hash_name(reader, &p->origin, false), ms);

    if (!client)
        return;
    p->address = *client;
    p->said = GV_SAID_FAILURE;
}

/* saslauthd's "user" and "realm" as Cyrus names them together. */
static uint64_t hash_full_name(const struct gv_reader *reader, const struct gv_parsed *p)
{
    char name[256];
    int len;

    if (p->origin.len == 0)
        return hash_name(reader, &p->account, true);
    len = snprintf(name, sizeof name, "%.*s@%.*s", (int)p->account.len, p->account.at,
                   (int)p->origin.len, p->origin.at);
    struct gv_span full = {name, (size_t)len < sizeof name ? (size_t)len : sizeof name - 1};
    uint64_t hash = hash_name(reader, &full, true);
    sodium_memzero(name, sizeof name);
    return hash;
}

static void count(struct gv_reader *reader, const struct gv_reading *out, size_t n)
{
    struct gv_reader_counters *c = &reader->counters;

    for (size_t i = 0; i < n; i++) {
        const struct gv_observation *o = &out[i].observation;

        if (o->success) {
            c->successes++;
        } else if (o->refused) {
            c->refused++;
        } else {
            c->failures++;
            c->attempts += o->attempts;
        }
        if (reader->flow && !o->refused)
            gv_mail_flow_login(reader->flow, o->success ? 0 : o->attempts, o->unix_ms);
    }
}

/* What the line says of the flow of mail, whatever it says of logins. */
static void count_mail(struct gv_reader *reader, const struct gv_line *line, uint64_t now_ms)
{
    struct gv_mail_parsed parsed;
    struct gv_span host = {line->host, line->host_len};
    uint64_t ms = 0;

    if (host.len == 0)
        host = (struct gv_span){line->sender, (size_t)(line->tag - line->sender)};
    if (gv_parse_mail_flow(&parsed, line) &&
        (parsed.said == GV_MAIL_SAID_REMOVED || /* nothing happens then that has a time */
         gv_clock_convert(&reader->clock, &ms, &line->stamp, now_ms)))
        gv_mail_flow_take(reader->flow, &parsed, &host, ms - ms % 1000);
}

/* Whether the why of this line may stand in a line of an auth service. */
static bool asks_why(const struct gv_parsed *p)
{
    if (p->mta == GV_MTA_SENDMAIL || p->mta == GV_MTA_COURIER)
        return false;
    if (p->said == GV_SAID_DISCONNECT)
        return p->auth_all > p->auth_good;
    if (p->said == GV_SAID_FAILURE && p->mta == GV_MTA_DOVECOT)
        return true; /* and how often before the last attempt */
    return p->said == GV_SAID_FAILURE && p->blame == GV_BLAME_CLIENT &&
           p->kind == GV_KIND_UNSPECIFIED;
}

/* Which connection or visit the line is of, and who is meant; as hashes. */
static void identify(const struct gv_reader *reader, struct gv_moment *moment,
                     const struct gv_line *line, const struct gv_parsed *p)
{
    switch (p->mta) {
    case GV_MTA_CYRUS:
    case GV_MTA_COURIER:
        moment->account = hash_full_name(reader, p);
        moment->origin = mix_line(1, line, line->sender_len) | 1;
        moment->connection = client_of(moment->origin, p);
        return;
    case GV_MTA_EXIM:
    case GV_MTA_SENDMAIL:
        moment->connection = visit_of(line, p);
        moment->told_apart = line->has_pid || (p->mta == GV_MTA_EXIM && p->session.len > 0);
        moment->cut = p->mta == GV_MTA_SENDMAIL ? cut_of(reader, line, p) : 0;
        moment->met = p->said == GV_SAID_MET ? met_of(line) : 0;
        if (p->twice && line->program == GV_PROGRAM_EXIM)
            moment->twin = gv_mix_bytes(moment->connection, line->text, line->text_len) | 1;
        break;
    case GV_MTA_POSTFIX:
        moment->connection = connection_of(reader->sender, line, &p->address);
        moment->told_apart = line->has_pid;
        break;
    default:
        break;
    }
    if (p->said == GV_SAID_CONNECT)
        return;
    moment->account = hash_name(reader, &p->account, true);
    if (p->said == GV_SAID_HINT || gv_assembler_has_hints(reader->assembler))
        moment->session = hash_name(reader, &p->session, false);
    moment->origin = hash_name(reader, &p->origin, false);
}

/* What a line says, and when, is put together with what other lines said. */
static size_t assemble(struct gv_reader *reader, struct gv_reading *out, const struct gv_parsed *p,
                       struct gv_moment *moment)
{
    if (p->said == GV_SAID_CONNECT)
        return gv_assemble_connect(reader->assembler, out, p, moment->connection, moment->ms);
    if (p->said == GV_SAID_UNNAMED) {
        reader->counters.unnamed += p->blame == GV_BLAME_CLIENT ? p->attempts : 0;
    } else if (moment->cut != 0) {
        uint64_t named = gv_assembler_unnamed(reader->assembler, moment->cut, moment->ms);
        uint64_t *left = &reader->counters.unnamed; /* of before a restart it knows nothing */

        *left -= named < *left ? named : *left;
    }
    return gv_assemble(reader->assembler, out, &reader->counters.faults, p, moment);
}

static void ask_others(const struct gv_reader *reader, const struct gv_parsed *p, uint64_t ms)
{
    if (asks_why(p))
        reader->look(reader->look_context, ms);
}

/* False when the line says nothing after all, or at no time. */
static bool place(struct gv_reader *reader, struct gv_moment *moment, const struct gv_line *line,
                  struct gv_parsed *p, uint64_t now_ms)
{
    *moment = (struct gv_moment){.line = reader->counters.lines, .now_ms = now_ms};
    /* Without a pid the address tells connections apart: those that are open at once from one
     * address are one, so none of them can be said to begin. */
    if (p->said == GV_SAID_CONNECT && !line->has_pid)
        return false;
    if (!gv_clock_convert(&reader->clock, &moment->ms, &line->stamp, now_ms))
        return false;
    if (p->said == GV_SAID_UNNAMED)
        name_client(reader, line, p, moment->ms);
    if (reader->look)
        ask_others(reader, p, moment->ms);
    identify(reader, moment, line, p);
    return true;
}

static bool parse(struct gv_reader *reader, struct gv_parsed *p, const struct gv_line *line,
                  bool half)
{
    if (line->program == GV_PROGRAM_SMTPD) {
        /* What is known of the process is fetched while the line is parsed. */
        reader->sender = mix_line(0x6772617065u, line, line->sender_len);
        gv_assembler_expect(reader->assembler, reader->sender);
    }
    return gv_parse_line(p, line, half);
}

/* Any line that may be of interest tells the time. */
static size_t release(struct gv_reader *reader, struct gv_reading *out, const struct gv_line *line,
                      uint64_t now_ms)
{
    uint64_t ms;

    if (!gv_clock_convert(&reader->clock, &ms, &line->stamp, now_ms))
        return 0;
    return gv_assemble_release(reader->assembler, out, ms);
}

/* As many attempts as the line says, as often as it came. */
static void multiply(struct gv_parsed *p, uint32_t times)
{
    uint64_t attempts = (uint64_t)p->attempts * times;

    p->attempts = attempts < GV_ATTEMPTS_MAX ? (uint32_t)attempts : GV_ATTEMPTS_MAX;
}

static void keep_failure(struct gv_reader *reader, const char *text, size_t len,
                         const struct gv_parsed *p, const struct gv_moment *moment)
{
    struct failure *f = &reader->before;
    struct gv_span host;

    if (reader->line.stamp.form == GV_STAMP_NONE ||
        (reader->line.stamp.text != text &&
         reader->line.stamp.text != text + gv_line_priority(text, len)) ||
        !gv_repeated_host(&host, &reader->line.stamp, text + len))
        return;
    f->known = true;
    f->stamp_len = reader->line.stamp.len;
    f->stamp_form = reader->line.stamp.form;
    memcpy(f->stamp, reader->line.stamp.text, f->stamp_len);
    f->host = gv_mix_bytes(0, host.at, host.len);
    f->parsed = *p;
    gv_parsed_leave_line(&f->parsed);
    f->moment = *moment;
}

/* A line of its own that says how often the one before came again. */
static size_t read_repetition(struct gv_reader *reader, struct gv_reading *out, const char *text,
                              size_t len, uint64_t now_ms)
{
    struct failure *f = &reader->before;
    struct gv_stamp stamp = {.text = f->stamp, .len = f->stamp_len, .form = f->stamp_form};
    struct gv_span host;
    uint32_t times;

    f->known = false;
    if (!gv_repeated_last(&times, &host, text, len) ||
        gv_mix_bytes(0, host.at, host.len) != f->host ||
        !gv_clock_convert(&reader->clock, &f->moment.ms, &stamp, now_ms))
        return 0;
    f->moment.line = reader->counters.lines;
    f->moment.now_ms = now_ms;
    reader->counters.matched++;
    multiply(&f->parsed, times);
    f->parsed.again = true;
    if (reader->look)
        ask_others(reader, &f->parsed, f->moment.ms);
    size_t n = assemble(reader, out, &f->parsed, &f->moment);
    count(reader, out, n);
    return n;
}

/* Host and program, whichever process it is. */
static uint64_t program_of(const struct gv_line *line)
{
    return mix_line(0x6c656e67u, line, (size_t)(line->tag + line->tag_len - line->sender));
}

/* Of the log's time, as far as it is known. */
static uint32_t today(const struct gv_reader *reader)
{
    return (uint32_t)(reader->clock.last_ms / 86400000u);
}

/* Of a line of `len` bytes behind its prefix, of a server whose lines may have an open end: whether
 * it may have been cut off where it ends. What is torn and has the next line behind it teaches
 * nothing. */
static bool may_be_cut(const struct gv_reader *reader, const struct gv_parsed *p,
                       const struct gv_line *line, size_t len)
{
    return p->open_end && !reader->never_cut &&
           !gv_lengths_trust(&reader->lengths, program_of(line), len, today(reader));
}

/* It waits; if there are too many, the first has waited in vain. Nothing comes out. */
static size_t doubt(struct gv_reader *reader, const struct gv_parsed *p,
                    const struct gv_moment *moment, size_t len)
{
    struct doubt *d = &reader->doubts[DOUBTED - 1];

    reader->counters.skipped++;
    if (p->said != GV_SAID_FAILURE && p->said != GV_SAID_SUCCESS)
        return 0; /* it only tells of others */
    for (size_t i = 0; d->known && i + 1 < DOUBTED; i++)
        reader->doubts[i] = reader->doubts[i + 1];
    while (d > reader->doubts && !d[-1].known)
        d--;
    *d = (struct doubt){true, program_of(&reader->line), len, *p, *moment};
    gv_parsed_leave_line(&d->parsed);
    return 0;
}

/* What was doubted and is not any more: a longer line has come, or one of the same process that has
 * the same client in front of all that he says. */
static size_t let_go(struct gv_reader *reader, struct gv_reading *out, uint64_t client)
{
    struct doubt *kept = reader->doubts;
    size_t n = 0, gone = 0;

    for (size_t i = 0; i < DOUBTED && reader->doubts[i].known; i++) {
        struct doubt d = reader->doubts[i];
        bool mine = client != 0 && d.moment.told_apart && d.moment.connection == client;
        bool sure = mine || gv_lengths_trust(&reader->lengths, d.program, d.len, today(reader));

        reader->doubts[i].known = false;
        if (sure && gone < LET_GO) {
            gone++;
            reader->counters.skipped -= reader->counters.skipped > 0; /* of before a restart */
            d.moment.line = reader->counters.lines;
            n += assemble(reader, out + n, &d.parsed, &d.moment);
        } else if (!mine) {
            *kept++ = d;
        }
    }
    return n;
}

static size_t believe(struct gv_reader *reader, struct gv_reading *out, const struct gv_parsed *p,
                      struct gv_moment *moment)
{
    size_t n = 0;

    if (reader->doubts[0].known && !p->open_end)
        n = let_go(reader, out, moment->connection);
    return n + assemble(reader, out + n, p, moment);
}

/* True when it was of a program whose lines may be doubted. */
static bool learn_length(struct gv_reader *reader, const struct gv_line *line, size_t len,
                         uint64_t now_ms)
{
    uint64_t ms;

    if (line->program != GV_PROGRAM_SENDMAIL && line->program != GV_PROGRAM_EXIM)
        return false;
    if (len > GV_LENGTH_SURE && gv_clock_convert(&reader->clock, &ms, &line->stamp, now_ms) &&
        gv_lengths_is_news(&reader->lengths, program_of(line), len, (uint32_t)(ms / 86400000u)) &&
        !memchr(line->text, '\0', len) && !gv_line_is_torn(line))
        gv_lengths_learn(&reader->lengths, program_of(line), len, (uint32_t)(ms / 86400000u));
    return true;
}

/* A line of a program that is of interest, taken apart as reader->line. Not inlined, so that all
 * other lines are spared its registers and its stack. */
__attribute__((noinline)) static size_t read_split(struct gv_reader *reader, struct gv_reading *out,
                                                   const char *text, size_t len, uint64_t now_ms,
                                                   bool half)
{
    struct gv_line *line = &reader->line;
    uint32_t times = 1;
    size_t whole = line->text_len; /* with what says that it came again */
    bool repeated =
        !half && line->text_len > 0 && line->text[0] == 'm' && gv_repeated_message(line, &times);
    struct gv_parsed p;
    struct gv_moment moment;

    p.torn = false;
    reader->before.known = false;
    if (reader->flow && gv_may_tell_of_mail(line) && !half)
        count_mail(reader, line, now_ms);
    size_t n = gv_assembler_holds(reader->assembler) ? release(reader, out, line, now_ms) : 0;
    if (line->program == GV_PROGRAM_POSTFIX) {
        /* of interest for the counters alone */
    } else if (parse(reader, &p, line, half) &&
               (!gv_parsed_tells(&p) || !memchr(text, '\0', len))) {
        /* What follows a hole need not belong to what precedes it (SPEC 10.4). */
        reader->counters.matched++;
        bool failure =
            p.said == GV_SAID_FAILURE || p.said == GV_SAID_UNNAMED || p.said == GV_SAID_HINT;
        if (failure)
            multiply(&p, times);
        p.again = repeated;
        if (place(reader, &moment, line, &p, now_ms)) {
            bool cut = may_be_cut(reader, &p, line, whole);
            if (failure && !repeated && !cut)
                keep_failure(reader, text, len, &p, &moment);
            n += cut ? doubt(reader, &p, &moment, whole) : believe(reader, out + n, &p, &moment);
        }
    } else {
        reader->counters.skipped += half;
        reader->counters.torn += p.torn;
    }
    if (!repeated && learn_length(reader, line, whole, now_ms) && reader->doubts[0].known)
        n += let_go(reader, out + n, 0);
    if (n > 0)
        count(reader, out, n);
    return n;
}

/* "lmtp(USER)...: ...", "imap(USER)...: ...": what Dovecot mostly says, and never of a login. */
GV_INLINE bool is_of_session(const struct gv_line *line)
{
    const char *at = line->text;

    return line->program == GV_PROGRAM_DOVECOT && line->text_len > 5 && at[4] == '(' &&
           (memcmp(at, "lmtp", 4) == 0 || memcmp(at, "imap", 4) == 0 || memcmp(at, "pop3", 4) == 0);
}

/* A line that is of interest for the counters alone. */
static void count_line(struct gv_reader *reader, uint64_t now_ms)
{
    uint32_t times;

    if (reader->line.text_len > 0 && reader->line.text[0] == 'm')
        (void)gv_repeated_message(&reader->line, &times);
    if (reader->flow && gv_may_tell_of_mail(&reader->line))
        count_mail(reader, &reader->line, now_ms);
}

/* Once, so that all of it can be inlined. */
__attribute__((noinline)) static size_t read_line(struct gv_reader *reader, struct gv_reading *out,
                                                  const char *text, size_t len, uint64_t now_ms,
                                                  bool half)
{
    reader->counters.lines++;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    if (len > GV_LINE_MAX) {
        reader->counters.skipped++;
        reader->before.known = false; /* what is repeated is this line */
        return 0;
    }
    if (!gv_line_split(&reader->line, &reader->prefix, text, len))
        return reader->before.known ? read_repetition(reader, out, text, len, now_ms) : 0;
    if (!half && !gv_assembler_holds(reader->assembler)) {
        bool counted = reader->line.program == GV_PROGRAM_POSTFIX;
        if (counted)
            count_line(reader, now_ms);
        if (counted || is_of_session(&reader->line)) {
            reader->before.known = false;
            return 0;
        }
    }
    return read_split(reader, out, text, len, now_ms, half);
}

size_t gv_reader_line(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX],
                      const char *line, size_t len, uint64_t now_ms)
{
    return read_line(reader, out, line, len, now_ms, false);
}

size_t gv_reader_half_line(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX],
                           const char *line, size_t len, uint64_t now_ms)
{
    return read_line(reader, out, line, len, now_ms, true);
}

size_t gv_reader_settle(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX],
                        uint64_t now_ms)
{
    size_t n = gv_assemble_settle(reader->assembler, out, now_ms, GV_DROP_WAIT_MS);

    count(reader, out, n);
    return n;
}

size_t gv_reader_flush(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX])
{
    size_t n = gv_assemble_flush(reader->assembler, out);

    count(reader, out, n);
    return n;
}

size_t gv_reader_memory(struct gv_reader *reader, struct gv_memory_area out[GV_READER_AREAS])
{
    /* Of the clock the rest is worked out again; another time zone may hold by then. */
    out[0] = (struct gv_memory_area){&reader->clock.last_ms, sizeof reader->clock.last_ms, NULL};
    out[1] = (struct gv_memory_area){&reader->before, sizeof reader->before, NULL};
    out[2] = (struct gv_memory_area){&reader->prefix.exim, sizeof reader->prefix.exim, NULL};
    out[3] = (struct gv_memory_area){&reader->lengths, sizeof reader->lengths, NULL};
    out[4] = (struct gv_memory_area){reader->doubts, sizeof reader->doubts, NULL};
    return 5 + gv_assembler_memory(reader->assembler, out + 5);
}

void gv_reader_recall(struct gv_reader *reader, uint64_t now_ms)
{
    struct failure *f = &reader->before;

    if (f->stamp_len > GV_STAMP_MAX)
        memset(f, 0, sizeof *f);
    gv_parsed_leave_line(&f->parsed);
    for (size_t i = 0; i < DOUBTED; i++)
        gv_parsed_leave_line(&reader->doubts[i].parsed);
    gv_assembler_recall(reader->assembler, now_ms);
}

void gv_reader_erase(struct gv_reader *reader, const struct gv_subject *subject)
{
    if (gv_ip_address_of(&reader->before.parsed.address, subject))
        memset(&reader->before, 0, sizeof reader->before);
    for (size_t i = 0; i < DOUBTED; i++)
        if (gv_ip_address_of(&reader->doubts[i].parsed.address, subject))
            memset(&reader->doubts[i], 0, sizeof reader->doubts[i]);
    gv_assembler_erase(reader->assembler, subject);
}
