#include "node/cli/look.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/wipe.h"
#include "node/cli/look_exim.h"
#include "node/ingest/parse_mail_flow.h"
#include "node/ingest/words.h"

#define MESSAGES 65536u /* whose sender is remembered between two lines; a power of two */
#define SEEN     65536u /* names that are told apart; a power of two */

const char *const gv_look_views[GV_LOOK_VIEWS] = {"top-senders", "queue", "logins", "names"};

/* A message between its first line and the one that tells its size. */
struct message {
    uint64_t id;
    uint64_t account; /* hash of who logged in; 0: nobody */
    uint64_t other;   /* Exim's: hash of the sender, where nobody logged in */
    bool counted;
};

struct gv_look {
    enum gv_look_view view;
    uint8_t key[16];
    uint64_t since_ms;
    struct gv_look_counters counters;
    struct gv_line_prefix prefix;
    struct gv_clock clock;
    struct gv_tally *tallies[GV_LOOK_TABLES];
    struct message messages[MESSAGES]; /* one place each: a later message takes it */
    uint64_t seen[SEEN];
    size_t seen_count;
    struct {                      /* Exim's queue: the message whose recipients come */
        uint64_t sender, came_ms; /* its hash; 0: of none that was asked for */
        bool frozen;
    } queued;
};

struct gv_look *gv_look_new(enum gv_look_view view, const uint8_t key[16], uint64_t since_ms)
{
    struct gv_look *look = calloc(1, sizeof *look);
    bool whole = look != NULL;

    if (!look)
        return NULL;
    look->view = view;
    look->since_ms = since_ms;
    memcpy(look->key, key, sizeof look->key);
    look->prefix.mail = true;
    for (size_t i = 0; i < GV_LOOK_TABLES; i++)
        whole &= (look->tallies[i] = gv_tally_new(key)) != NULL;
    if (whole)
        return look;
    gv_look_free(look);
    return NULL;
}

void gv_look_free(struct gv_look *look)
{
    if (!look)
        return;
    for (size_t i = 0; i < GV_LOOK_TABLES; i++)
        gv_tally_free(look->tallies[i]);
    gv_wipe(look, sizeof *look);
    free(look);
}

const struct gv_look_counters *gv_look_counters(const struct gv_look *look)
{
    return &look->counters;
}

const struct gv_tally *gv_look_tally(const struct gv_look *look, enum gv_look_table table)
{
    return look->tallies[table];
}

void gv_look_skip(struct gv_look *look)
{
    look->counters.lines++;
    look->counters.skipped++;
}

void gv_look_file(struct gv_look *look)
{
    memset(&look->prefix, 0, sizeof look->prefix);
    memset(&look->clock, 0, sizeof look->clock);
    look->prefix.mail = true;
}

/* ---- senders -------------------------------------------------------------------------------- */

static struct message *message_of(struct gv_look *look, uint64_t id, bool make)
{
    struct message *m = &look->messages[id % MESSAGES];

    if (m->id == id)
        return m;
    if (!make)
        return NULL;
    *m = (struct message){.id = id};
    return m;
}

static uint64_t id_of(const struct gv_look *look, const struct gv_queue_id *id,
                      const struct gv_line *line)
{
    uint64_t words[4];

    memcpy(words, id->words, sizeof id->words);
    words[3] = gv_siphash(look->key, line->sender, (size_t)(line->tag - line->sender));
    return gv_siphash(look->key, words, sizeof words) | 1;
}

/* "from=<SENDER>, size=N, nrcpt=N (queue active)", which gv_parse_mail_flow has found to be so:
 * from the end, as the sender may hold all of that. */
static void take_active_fields(struct gv_span *sender, uint64_t *recipients,
                               const struct gv_line *line)
{
    const char *limit = line->text + line->text_len;
    const char *end = gv_find_last(line->text, limit, ">, size=");
    const char *start = gv_find(line->text, limit, ": from=<");
    const char *count = gv_find_last(line->text, limit, ", nrcpt=");

    *sender = (struct gv_span){"", 0};
    *recipients = 0;
    if (end && start && start + 8 <= end)
        *sender = (struct gv_span){start + 8, (size_t)(end - start - 8)};
    for (count = count ? count + 8 : limit; count < limit && gv_is_digit(*count); count++)
        if (*recipients < 1000000000)
            *recipients = 10 * *recipients + (uint64_t)(*count - '0');
}

static void take_active(struct gv_look *look, const struct gv_mail_parsed *mail,
                        const struct gv_line *line, uint64_t ms)
{
    struct message *m = message_of(look, id_of(look, &mail->id, line), true);
    struct gv_tally_entry *entry = NULL;
    struct gv_span sender;
    uint64_t recipients;

    if (m->counted) /* taken up again after a deferral */
        return;
    m->counted = true;
    take_active_fields(&sender, &recipients, line);
    if (m->account)
        entry = gv_tally_find(look->tallies[GV_LOOK_ACCOUNTS], m->account);
    else if (sender.len > 0)
        entry = gv_tally_at(look->tallies[GV_LOOK_OTHERS], sender.at, sender.len);
    else
        entry = gv_tally_at(look->tallies[GV_LOOK_OTHERS], "<>", 2);
    if (!entry) /* forgotten since, among those who sent least */
        return;
    gv_tally_count(entry, ms);
    entry->recipients += recipients;
    entry->bytes += mail->size;
    entry->weight = entry->recipients;
}

static void take_mail(struct gv_look *look, const struct gv_line *line, uint64_t ms)
{
    struct gv_mail_parsed mail;
    struct gv_parsed login;

    if (!gv_may_tell_of_mail(line) || !gv_parse_mail_flow(&mail, line) ||
        !gv_queue_id_given(&mail.id))
        return;
    uint64_t id = id_of(look, &mail.id, line);
    struct message *m;
    switch (mail.said) {
    case GV_MAIL_SAID_CLIENT:
        m = message_of(look, id, true);
        *m = (struct message){.id = id}; /* short ids come again */
        if (gv_parse_line(&login, line, false) && login.said == GV_SAID_SUCCESS &&
            login.account.len > 0)
            m->account =
                gv_tally_at(look->tallies[GV_LOOK_ACCOUNTS], login.account.at, login.account.len)
                    ->hash;
        look->counters.matched++;
        break;
    case GV_MAIL_SAID_ACTIVE:
        look->counters.matched++;
        take_active(look, &mail, line, ms);
        break;
    case GV_MAIL_SAID_REMOVED:
        if ((m = message_of(look, id, false)))
            *m = (struct message){0};
        break;
    default:
        break;
    }
}

/* ---- senders, as Exim has them --------------------------------------------------------------- */

static struct gv_tally_entry *entry_of(struct gv_look *look, const struct message *m)
{
    if (m->account)
        return gv_tally_find(look->tallies[GV_LOOK_ACCOUNTS], m->account);
    return m->other ? gv_tally_find(look->tallies[GV_LOOK_OTHERS], m->other) : NULL;
}

/* Exim tells how many recipients there are as it serves them, or gives them up. */
static void take_exim_came(struct gv_look *look, struct message *m, const struct gv_exim_fact *fact,
                           const struct gv_line *line, uint64_t ms)
{
    struct gv_tally_entry *entry;
    struct gv_parsed login;

    if (gv_parse_line(&login, line, false) && login.said == GV_SAID_SUCCESS &&
        login.account.len > 0) {
        entry = gv_tally_at(look->tallies[GV_LOOK_ACCOUNTS], login.account.at, login.account.len);
        m->account = entry->hash;
    } else {
        entry = gv_tally_at(look->tallies[GV_LOOK_OTHERS], fact->address.at, fact->address.len);
        m->other = entry->hash;
    }
    gv_tally_count(entry, ms);
    entry->bytes += fact->bytes;
    entry->weight = entry->recipients + entry->count;
}

static void take_exim(struct gv_look *look, const struct gv_line *line, uint64_t ms)
{
    struct gv_exim_fact fact;
    struct gv_tally_entry *entry;
    struct message *m;

    if (!gv_exim_fact(&fact, line->text, line->text_len))
        return;
    uint64_t id = gv_siphash(look->key, fact.id.at, fact.id.len) | 1;
    switch (fact.said) {
    case GV_EXIM_CAME:
        look->counters.matched++;
        m = message_of(look, id, true);
        *m = (struct message){.id = id};
        if (fact.address.len > 0)
            take_exim_came(look, m, &fact, line, ms);
        break;
    case GV_EXIM_SETTLED:
        m = message_of(look, id, false);
        if (m && (entry = entry_of(look, m))) {
            entry->recipients++;
            entry->weight = entry->recipients + entry->count;
        }
        break;
    default:
        if ((m = message_of(look, id, false)))
            *m = (struct message){0};
        break;
    }
}

/* ---- logins and names ----------------------------------------------------------------------- */

/* The /24 of IPv4 and the /48 of IPv6: what one line at home or one company mostly is. */
static uint64_t network_of(const struct gv_look *look, const struct gv_ip_address *address)
{
    uint8_t bytes[7] = {address->family};

    memcpy(bytes + 1, address->bytes, address->family == GV_FAMILY_IPV4 ? 3 : 6);
    return gv_siphash(look->key, bytes, sizeof bytes);
}

/* True the first time; false too when there are more names than can be told apart. */
static bool is_new(struct gv_look *look, uint64_t hash)
{
    size_t i = hash % SEEN;

    while (look->seen[i] != 0 && look->seen[i] != hash)
        i = (i + 1) % SEEN;
    if (look->seen[i] == hash || look->seen_count >= SEEN / 4 * 3)
        return false;
    look->seen[i] = hash;
    look->seen_count++;
    return true;
}

size_t gv_look_pattern(char out[GV_TALLY_NAME], const char *name, size_t len)
{
    const char *at_sign = memchr(name, '@', len);
    size_t local = at_sign ? (size_t)(at_sign - name) : len, n = 0;
    bool digits = false;

    for (size_t i = 0; i < len && n < GV_TALLY_NAME; i++) {
        char c = name[i];
        if (i < local && gv_is_digit(c)) {
            if (i > 0 && gv_is_digit(name[i - 1]))
                continue;
            digits = true;
            c = '#';
        }
        out[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return digits ? n : 0;
}

static void take_name(struct gv_look *look, const char *name, size_t len, uint64_t ms)
{
    char pattern[GV_TALLY_NAME];
    size_t pattern_len = gv_look_pattern(pattern, name, len);

    if (pattern_len == 0 || !is_new(look, gv_tally_hash(look->tallies[0], name, len)))
        return;
    struct gv_tally_entry *entry =
        gv_tally_at(look->tallies[GV_LOOK_REASONS], pattern, pattern_len);
    gv_tally_count(entry, ms);
    entry->weight = entry->count;
    entry->example_len = (uint16_t)(len < GV_TALLY_NAME ? len : GV_TALLY_NAME);
    memcpy(entry->example, name, entry->example_len);
}

static void take_login(struct gv_look *look, const struct gv_line *line, uint64_t ms)
{
    struct gv_parsed p;
    char name[256];

    if (!gv_parse_line(&p, line, false) || p.said != GV_SAID_SUCCESS || p.account.len == 0)
        return;
    size_t len = p.account.len < sizeof name ? p.account.len : sizeof name;
    memcpy(name, p.account.at, len);
    for (size_t i = 0; i < len; i++)
        if (name[i] >= 'A' && name[i] <= 'Z')
            name[i] = (char)(name[i] - 'A' + 'a');
    look->counters.matched++;
    if (look->view == GV_LOOK_NAMES) {
        take_name(look, name, len, ms);
        return;
    }
    struct gv_tally_entry *entry = gv_tally_at(look->tallies[GV_LOOK_ACCOUNTS], name, len);
    gv_tally_count(entry, ms);
    gv_tally_network(entry, network_of(look, &p.address));
    entry->weight = entry->network_count;
}

void gv_look_line(struct gv_look *look, const char *text, size_t len, uint64_t now_ms)
{
    struct gv_line line = {.whole = false};
    uint64_t ms;

    look->counters.lines++;
    if (memchr(text, 0, len) || !gv_line_split(&line, &look->prefix, text, len) ||
        !gv_clock_convert(&look->clock, &ms, &line.stamp, now_ms) || ms < look->since_ms)
        return;
    if (look->counters.first_ms == 0 || ms < look->counters.first_ms)
        look->counters.first_ms = ms;
    if (ms > look->counters.last_ms)
        look->counters.last_ms = ms;
    if (look->view == GV_LOOK_TOP_SENDERS &&
        (line.program == GV_PROGRAM_EXIM || line.program == GV_PROGRAM_EXIM_PLAIN))
        take_exim(look, &line, ms);
    else if (look->view == GV_LOOK_TOP_SENDERS)
        take_mail(look, &line, ms);
    else
        take_login(look, &line, ms);
}

/* ---- the queue ------------------------------------------------------------------------------ */

static void weigh_queued(struct gv_tally_entry *entry, uint64_t came_ms, uint64_t recipients,
                         uint64_t bytes)
{
    gv_tally_count(entry, came_ms);
    entry->recipients += recipients;
    entry->bytes += bytes;
    entry->weight = entry->count;
}

static uint64_t number_of(const json_t *json)
{
    json_int_t n = json_integer_value(json);

    return n < 0 ? 0 : n > INT64_MAX / 1000 ? INT64_MAX / 1000 : (uint64_t)n;
}

static void take_domain(struct gv_look *look, const char *text, size_t len, uint64_t came_ms)
{
    const char *domain = memrchr(text, '@', len);

    len = domain ? len - (size_t)(domain + 1 - text) : len;
    weigh_queued(gv_tally_at(look->tallies[GV_LOOK_OTHERS], domain ? domain + 1 : text, len),
                 came_ms, 1, 0);
}

static void take_recipient(struct gv_look *look, const json_t *recipient, uint64_t came_ms)
{
    const json_t *address = json_object_get(recipient, "address");
    const json_t *reason = json_object_get(recipient, "delay_reason");
    const char *text = json_string_value(address);

    if (!text)
        return;
    take_domain(look, text, json_string_length(address), came_ms);
    if (json_is_string(reason))
        weigh_queued(gv_tally_at(look->tallies[GV_LOOK_REASONS], json_string_value(reason),
                                 json_string_length(reason)),
                     came_ms, 1, 0);
}

static void take_exim_recipient(struct gv_look *look, const struct gv_span *address)
{
    static const char why[] = "frozen: Exim does not try it again by itself";
    struct gv_tally_entry *sender =
        gv_tally_find(look->tallies[GV_LOOK_ACCOUNTS], look->queued.sender);

    if (sender)
        sender->recipients++;
    take_domain(look, address->at, address->len, look->queued.came_ms);
    if (look->queued.frozen)
        weigh_queued(gv_tally_at(look->tallies[GV_LOOK_REASONS], why, sizeof why - 1),
                     look->queued.came_ms, 1, 0);
}

void gv_look_exim_queued(struct gv_look *look, const char *line, size_t len, uint64_t now_ms)
{
    struct gv_exim_queued q;
    struct gv_tally_entry *entry;

    switch (gv_exim_queued(&q, line, len)) {
    case GV_EXIM_QUEUE_MESSAGE:
        look->counters.lines++;
        look->queued.sender = 0;
        look->queued.came_ms = q.age_s * 1000 < now_ms ? now_ms - q.age_s * 1000 : 0;
        look->queued.frozen = q.frozen;
        if (look->queued.came_ms < look->since_ms)
            break;
        look->counters.matched++;
        if (look->counters.first_ms == 0 || look->queued.came_ms < look->counters.first_ms)
            look->counters.first_ms = look->queued.came_ms;
        entry = q.address.len > 0
                    ? gv_tally_at(look->tallies[GV_LOOK_ACCOUNTS], q.address.at, q.address.len)
                    : gv_tally_at(look->tallies[GV_LOOK_ACCOUNTS], "<>", 2);
        weigh_queued(entry, look->queued.came_ms, 0, q.bytes);
        look->queued.sender = entry->hash;
        break;
    case GV_EXIM_QUEUE_RECIPIENT:
        if (look->queued.sender != 0)
            take_exim_recipient(look, &q.address);
        break;
    default:
        break;
    }
}

void gv_look_queued(struct gv_look *look, const char *line, size_t len)
{
    json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *sender = json_object_get(json, "sender");
    const json_t *recipients = json_object_get(json, "recipients"), *recipient;
    uint64_t came_ms = number_of(json_object_get(json, "arrival_time")) * 1000;
    size_t i;

    look->counters.lines++;
    if (!json_is_string(sender) || !json_is_array(recipients)) {
        look->counters.skipped++;
    } else if (came_ms >= look->since_ms) {
        look->counters.matched++;
        if (look->counters.first_ms == 0 || came_ms < look->counters.first_ms)
            look->counters.first_ms = came_ms;
        weigh_queued(gv_tally_at(look->tallies[GV_LOOK_ACCOUNTS], json_string_value(sender),
                                 json_string_length(sender)),
                     came_ms, json_array_size(recipients),
                     number_of(json_object_get(json, "message_size")));
        json_array_foreach((json_t *)recipients, i, recipient)
            take_recipient(look, recipient, came_ms);
    }
    json_decref(json);
}
