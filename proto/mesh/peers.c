#include "proto/mesh/peers.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/state.h"

static const uint8_t nobody[GV_ID_LEN];

void gv_book_free(struct gv_book *book)
{
    for (size_t i = 0; i < book->count; i++)
        free(book->entries[i].host);
    free(book->entries);
    free(book->marks);
    memset(book, 0, sizeof *book);
}

static uint32_t fold(const uint8_t bytes[16])
{
    uint32_t words[4];

    memcpy(words, bytes, sizeof words);
    return words[0] ^ words[1] ^ words[2] ^ words[3];
}

static struct gv_book_mark mark_of(const struct gv_book_entry *entry)
{
    return (struct gv_book_mark){fold(entry->address.bytes), fold(entry->instance), entry->link};
}

/* What it is of, or where, has changed. */
static void mark(struct gv_book *book, const struct gv_book_entry *entry)
{
    book->marks[entry - book->entries] = mark_of(entry);
}

static void set_link(struct gv_book *book, struct gv_book_entry *entry, uint32_t link)
{
    entry->link = link;
    mark(book, entry);
}

static struct gv_book_entry *find_host(struct gv_book *book, const char *host)
{
    for (size_t i = 0; i < book->count; i++)
        if (book->entries[i].host && strcmp(book->entries[i].host, host) == 0)
            return &book->entries[i];
    return NULL;
}

static struct gv_book_entry *find(struct gv_book *book, const struct gv_address *address,
                                  const char *host)
{
    uint32_t wanted = host ? 0 : fold(address->bytes);

    if (host)
        return find_host(book, host);
    for (size_t i = 0; i < book->count; i++) {
        struct gv_book_entry *entry = &book->entries[i];
        if (book->marks[i].address == wanted && !entry->host &&
            gv_address_equal(&entry->address, address))
            return entry;
    }
    return NULL;
}

static struct gv_book_entry *of_link(struct gv_book *book, uint32_t link)
{
    for (size_t i = 0; i < book->count; i++)
        if (book->marks[i].link == link)
            return &book->entries[i];
    return NULL;
}

/* Another server of this admin (SPEC 9.8). */
static bool is_own(const struct gv_core *core, const struct gv_book_entry *entry)
{
    const struct gv_instance *instance = memcmp(entry->instance, nobody, GV_ID_LEN) != 0
                                             ? gv_roster_instance(&core->roster, entry->instance)
                                             : NULL;

    return instance && gv_own_is(core, instance->owner->tag);
}

/* Whether the roster has any: most owners run one host, and then nobody is looked up for it. */
static bool has_own(struct gv_core *core)
{
    const struct gv_instance *instance;
    struct gv_book *book = &core->book;
    size_t cursor = 0;

    if (book->own_seen == core->roster.changes + 1)
        return book->own_any;
    book->own_seen = core->roster.changes + 1;
    book->own_any = false;
    while (!book->own_any && (instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, &cursor)))
        book->own_any = instance->owner && gv_own_is(core, instance->owner->tag) &&
                        memcmp(instance->id, core->identity.id, GV_ID_LEN) != 0;
    return book->own_any;
}

/* A full book gives up the address that failed most and was never reached; seeds and own hosts
 * stay. */
static struct gv_book_entry *weakest(struct gv_core *core)
{
    struct gv_book *book = &core->book;
    struct gv_book_entry *worst = NULL;

    for (size_t i = 0; i < book->count; i++) {
        struct gv_book_entry *entry = &book->entries[i];
        bool worse = !worst || (worst->reached && !entry->reached) ||
                     (worst->reached == entry->reached && entry->failures > worst->failures);
        if (worse && !entry->seed && !entry->link && !is_own(core, entry))
            worst = entry;
    }
    return worst;
}

static void forget(struct gv_core *core, struct gv_book_entry *entry)
{
    uint8_t key[18];
    size_t key_len = gv_address_pack(key, &entry->address);

    if (entry->reached && key_len > 0)
        gv_effect_forget(core->effects, GV_ROW_PEER, key, key_len);
    free(entry->host);
}

static bool make_cap(struct gv_book *book, size_t cap)
{
    struct gv_book_entry *entries = realloc(book->entries, cap * sizeof *entries);

    if (!entries)
        return false;
    book->entries = entries;
    struct gv_book_mark *marks = realloc(book->marks, cap * sizeof *marks);
    if (!marks)
        return false;
    book->marks = marks;
    book->cap = cap;
    return true;
}

static bool grow(struct gv_book *book)
{
    return make_cap(book, book->cap ? 2 * book->cap : 16);
}

void gv_book_expect(struct gv_book *book, size_t count)
{
    if (count > book->cap && count <= GV_PEER_BOOK_MAX)
        (void)make_cap(book, count); /* without memory now it grows as they come */
}

static struct gv_book_entry *book_add(struct gv_core *core, const struct gv_address *address,
                                      const char *host)
{
    struct gv_book *book = &core->book;
    struct gv_book_entry *entry = NULL;
    size_t host_size = host ? strlen(host) + 1 : 0;
    char *copy = host ? malloc(host_size) : NULL;

    if (host && !copy)
        return NULL;
    if (host)
        memcpy(copy, host, host_size);
    if (book->count >= GV_PEER_BOOK_MAX) {
        entry = weakest(core);
        if (entry)
            forget(core, entry);
    } else {
        if (book->count < book->cap || grow(book))
            entry = &book->entries[book->count++];
    }
    if (!entry) {
        free(copy);
        return NULL;
    }
    memset(entry, 0, sizeof *entry);
    entry->address = *address;
    entry->host = copy;
    entry->rank = gv_drbg_u64(&core->drbg);
    mark(book, entry);
    return entry;
}

void gv_book_seed(struct gv_core *core, const char *text)
{
    struct gv_address address;
    const char *host = NULL;

    if (gv_address_parse(&address, text, strlen(text)) != GV_OK)
        host = text;
    struct gv_book_entry *entry = find(&core->book, &address, host);
    if (!entry)
        entry = book_add(core, &address, host);
    if (entry)
        entry->seed = true;
}

/* Where this instance said it was before, if nobody ever got through to it there. */
static struct gv_book_entry *told_before(struct gv_book *book, const uint8_t instance[GV_ID_LEN])
{
    uint32_t wanted = fold(instance);

    for (size_t i = 0; i < book->count; i++) {
        struct gv_book_entry *entry = &book->entries[i];
        if (book->marks[i].instance == wanted && !entry->seed && !entry->reached && !entry->link &&
            !entry->host && memcmp(entry->instance, instance, GV_ID_LEN) == 0)
            return entry;
    }
    return NULL;
}

void gv_book_learn(struct gv_core *core, const struct gv_address *address,
                   const uint8_t instance[GV_ID_LEN], bool reached)
{
    struct gv_book_entry *entry = find(&core->book, address, NULL);

    /* One place a member: a roster of addresses must not be crowded out by one who moves. */
    if (!entry && instance && (entry = told_before(&core->book, instance))) {
        entry->address = *address;
        entry->next_ms = 0;
        entry->failures = 0;
    }
    if (!entry)
        entry = book_add(core, address, NULL);
    if (!entry)
        return;
    if (instance)
        memcpy(entry->instance, instance, GV_ID_LEN);
    mark(&core->book, entry);
    entry->reached = entry->reached || reached;
    core->book.own_dirty = true;
}

void gv_book_learn_new(struct gv_core *core, const struct gv_address *address,
                       const uint8_t instance[GV_ID_LEN])
{
    struct gv_book_entry *entry = book_add(core, address, NULL);

    if (!entry)
        return;
    memcpy(entry->instance, instance, GV_ID_LEN);
    mark(&core->book, entry);
    core->book.own_dirty = true;
}

void gv_book_reached(struct gv_core *core, uint32_t link, const uint8_t instance[GV_ID_LEN])
{
    struct gv_book_entry *entry = of_link(&core->book, link);
    struct gv_link *up = gv_link_find(core, link);
    uint8_t key[18];
    size_t key_len;

    if (!entry)
        return;
    memcpy(entry->instance, instance, GV_ID_LEN);
    mark(&core->book, entry);
    core->book.own_dirty = true;
    entry->lost_ms = 0;
    entry->busy = false;
    entry->self = memcmp(instance, core->identity.id, GV_ID_LEN) == 0;
    if (entry->reached || entry->self || !up)
        return;
    entry->reached = true;
    key_len = gv_address_pack(key, &up->remote);
    gv_effect_persist(core->effects, GV_ROW_PEER, key, key_len, NULL, 0);
}

void gv_book_moved(struct gv_core *core, uint32_t from, uint32_t to)
{
    struct gv_book_entry *entry = of_link(&core->book, from);

    if (entry)
        set_link(&core->book, entry, to);
}

/* 2 s, doubling, up to 10 minutes, for ever; a quarter of jitter either way, so that a mesh that
 * lost its network does not come back in one moment. */
static uint64_t back_off(struct gv_core *core, uint32_t failures, uint64_t last_ms)
{
    uint64_t delay = GV_DIAL_FIRST_MS;

    while (failures-- > 1 && delay < last_ms)
        delay *= 2;
    if (delay > last_ms)
        delay = last_ms;
    return delay - delay / 4 + gv_drbg_below(&core->drbg, delay / 2);
}

/* Whoever has few peers looks for those that he had more often: in a small mesh that falls apart,
 * or a host that lost its line, there is nobody else to look for. One that answers, and does not
 * want it, is left in peace. */
static uint64_t longest(const struct gv_core *core, const struct gv_book_entry *entry,
                        const struct gv_link *ended)
{
    uint64_t last_ms = GV_DIAL_LONELY_MS;

    if (!entry->reached || ended->connected)
        return GV_DIAL_LAST_MS;
    for (size_t i = 0; i < core->link_count; i++) {
        const struct gv_link *link = core->links[i];
        if (link != ended && link->member && !link->errand && !link->closing)
            last_ms += GV_DIAL_LONELY_MS;
    }
    return last_ms < GV_DIAL_LAST_MS ? last_ms : GV_DIAL_LAST_MS;
}

/* A session that had lasted is over. Without a goodbye, perhaps he went with half of the mesh. */
static void note_lost(struct gv_core *core, struct gv_book_entry *entry, const struct gv_link *link)
{
    entry->failures = 0;
    if (link->goodbye != UINT32_MAX || link->errand || (link->closing && !link->silent))
        return;
    entry->lost_ms = core->now_ms;
    if (core->book.seek_ms == 0)
        core->book.seek_ms = gv_core_after(core, GV_SEEK_MS);
}

void gv_book_ended(struct gv_core *core, const struct gv_link *link)
{
    struct gv_book_entry *entry = of_link(&core->book, link->id);
    uint64_t least = 0;

    if (!entry)
        return;
    set_link(&core->book, entry, 0);
    /* Only who stayed for a while is worth dialling at once again: a handshake alone proves little.
     */
    if (link->member && core->now_ms - link->member_ms >= GV_PEER_STAYS_MS)
        note_lost(core, entry, link);
    /* Who is full sends on whom he has had for a minute; who says so at once is not come back to,
     * or he could be dialled for ever. */
    bool busy = link->goodbye == GV_GOODBYE_BUSY;
    entry->busy = busy && link->member && !link->errand &&
                  core->now_ms - link->member_ms >= GV_PEER_STAYS_MS / 2;
    if (busy && entry->failures < GV_DIAL_BUSY_FAILURES - 1)
        entry->failures = GV_DIAL_BUSY_FAILURES - 1;
    if (link->goodbye == GV_GOODBYE_INVALID || link->goodbye == GV_GOODBYE_REVOKED)
        least = GV_BAN_MS;
    entry->failures++;
    uint64_t delay = back_off(core, entry->failures, longest(core, entry, link));
    entry->next_ms = gv_core_after(core, delay > least ? delay : least);
}

/* A full node takes who comes, and sends on who has been there longest: so a place is found for
 * whoever has none, and nobody has to come back before his time who has another peer. Those sent on
 * together do not come back in one moment. */
void gv_book_lonely(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        const struct gv_link *link = core->links[i];
        if (link->member && !link->errand && !link->closing && !gv_own_link(core, link))
            return;
    }
    for (size_t i = 0; i < core->book.count; i++) {
        struct gv_book_entry *entry = &core->book.entries[i];
        if (!entry->busy)
            continue;
        uint64_t soon_ms = gv_core_after(core, back_off(core, 1, GV_DIAL_FIRST_MS));
        if (entry->next_ms > soon_ms)
            entry->next_ms = soon_ms;
        entry->busy = false;
    }
}

bool gv_book_knows(const struct gv_book *book, const struct gv_address *address)
{
    struct gv_subject wanted = gv_address_subject(address);

    for (size_t i = 0; i < book->count; i++) {
        const struct gv_book_entry *entry = &book->entries[i];
        if (entry->host || (!entry->reached && memcmp(entry->instance, nobody, GV_ID_LEN) == 0))
            continue;
        struct gv_subject subject = gv_address_subject(&entry->address);
        if (gv_subject_equal(&subject, &wanted))
            return true;
    }
    return false;
}

/* ---- whom to dial --------------------------------------------------------------------------- */

static bool may_dial(const struct gv_core *core, const struct gv_book_entry *entry)
{
    if (entry->self || entry->link || entry->next_ms > core->now_ms)
        return false;
    if (!entry->host && gv_address_equal(&entry->address, &core->settings.advertise))
        return false;
    if (memcmp(entry->instance, nobody, GV_ID_LEN) == 0)
        return true;
    const struct gv_instance *known = gv_roster_own_instance(&core->roster, entry->instance);
    if (known && (known->revoked_min != GV_NEVER || known->fault_min != GV_NEVER))
        return false;
    const struct gv_link *link = gv_link_of(core, entry->instance);
    return (!link || link->errand) && !gv_is_banned(core, entry->instance);
}

static bool group_is_used(const struct gv_core *core, uint64_t group)
{
    for (size_t i = 0; i < core->link_count; i++)
        if (core->links[i]->outbound && gv_address_group(&core->links[i]->remote) == group)
            return true;
    return false;
}

/* A network group that is not used yet first, so that nobody who owns one network surrounds us;
 * then the secret rank (after Basalt: an order that the candidates cannot choose). */
static struct gv_book_entry *choose(struct gv_core *core)
{
    struct gv_book_entry *best = NULL;
    bool best_used = true;

    for (size_t i = 0; i < core->book.count; i++) {
        struct gv_book_entry *entry = &core->book.entries[i];
        if (best && !best_used && entry->rank >= best->rank)
            continue; /* it cannot be better; who may be dialled takes long to tell */
        if (!may_dial(core, entry))
            continue;
        bool used = !entry->host && group_is_used(core, gv_address_group(&entry->address));
        if (!best || (best_used && !used) || (best_used == used && entry->rank < best->rank)) {
            best = entry;
            best_used = used;
        }
    }
    return best;
}

/* How many more to dial: the active view, and so many of it of our own choice. Own hosts do not
 * count: all of them together know no more than this node. */
static bool wants_more(const struct gv_core *core)
{
    size_t members = 0, outbound = 0;

    if (!core->has_descriptor || !core->has_certificate || core->self_revoked)
        return false;
    for (size_t i = 0; i < core->link_count; i++) {
        const struct gv_link *link = core->links[i];
        if (link->closing || link->errand || link->feeler ||
            (members >= GV_PEERS_WANTED && !link->outbound) || gv_own_link(core, link))
            continue;
        members += link->member || link->outbound;
        outbound += link->outbound;
    }
    return members < GV_PEERS_WANTED || outbound < GV_PEERS_OUTBOUND;
}

static size_t own_links(const struct gv_core *core)
{
    size_t count = 0;

    for (size_t i = 0; i < core->link_count; i++)
        count += gv_own_link(core, core->links[i]) && !core->links[i]->closing;
    return count;
}

/* Dials every own host that is due, and notes when the next one will be. Looks through the book
 * only when something has changed. */
static void dial_own(struct gv_core *core)
{
    struct gv_book *book = &core->book;
    size_t links;

    if (!book->own_dirty && book->own_ms > core->now_ms)
        return;
    book->own_dirty = false;
    book->own_ms = UINT64_MAX;
    if (!core->has_descriptor || !core->has_certificate || core->self_revoked || !has_own(core))
        return;
    links = own_links(core);
    for (size_t i = 0; i < book->count && links < GV_OWN_LINKS_MAX; i++) {
        struct gv_book_entry *entry = &book->entries[i];
        if (entry->self || entry->link || !is_own(core, entry) || gv_link_of(core, entry->instance))
            continue;
        if (may_dial(core, entry)) {
            links++;
            set_link(book, entry, gv_link_dial(core, &entry->address, entry->host));
            if (entry->link == 0) /* no room */
                entry->next_ms = gv_core_after(core, GV_DIAL_FIRST_MS);
        }
        if (entry->link == 0 && entry->next_ms > core->now_ms && entry->next_ms < book->own_ms)
            book->own_ms = entry->next_ms;
    }
}

void gv_book_tick(struct gv_core *core)
{
    dial_own(core);
    while (core->book.pause_ms <= core->now_ms && wants_more(core)) {
        struct gv_book_entry *entry = choose(core);
        if (!entry)
            return;
        set_link(&core->book, entry, gv_link_dial(core, &entry->address, entry->host));
        if (entry->link == 0) { /* no room, or no memory */
            core->book.pause_ms = gv_core_after(core, GV_DIAL_FIRST_MS);
            return;
        }
    }
}

static bool may_feel(struct gv_core *core)
{
    return core->has_descriptor && core->has_certificate && !core->self_revoked &&
           !wants_more(core) && gv_traffic_allows(&core->traffic, GV_WORTH_REPAIR);
}

/* To compare sets, and no more yet. */
static void feel(struct gv_core *core, struct gv_book_entry *entry)
{
    set_link(&core->book, entry, gv_link_dial(core, &entry->address, entry->host));
    if (entry->link != 0)
        gv_link_find(core, entry->link)->feeler = true;
}

/* Somebody new, picked at random, every quarter of an hour: when a partition has healed both halves
 * have all the peers they want, and would never hear of each other. */
void gv_book_feel(struct gv_core *core)
{
    struct gv_book_entry *pick = NULL;
    uint64_t seen = 0;

    if (core->feeler_ms > core->now_ms)
        return;
    core->feeler_ms = gv_core_after(core, GV_FEELER_MS - GV_FEELER_MS / 4 +
                                              gv_drbg_below(&core->drbg, GV_FEELER_MS / 2));
    if (!may_feel(core))
        return;
    for (size_t i = 0; i < core->book.count; i++)
        if (may_dial(core, &core->book.entries[i]) && gv_drbg_below(&core->drbg, ++seen) == 0)
            pick = &core->book.entries[i];
    if (!pick)
        return;
    feel(core, pick);
}

/* A node that has peers enough, for others took their places, and lost some without a goodbye: it
 * goes on looking for them. In the moment in which the two parts of a mesh can meet again, somebody
 * has to try. */
void gv_book_seek(struct gv_core *core)
{
    struct gv_book *book = &core->book;
    struct gv_book_entry *pick = NULL;
    uint64_t seen = 0;
    bool any = false;

    if (book->seek_ms == 0 || book->seek_ms > core->now_ms)
        return;
    for (size_t i = 0; i < book->count; i++) {
        struct gv_book_entry *entry = &book->entries[i];
        if (entry->lost_ms == 0 || core->now_ms - entry->lost_ms > GV_SEEK_FOR_MS)
            continue;
        any = true;
        if (may_dial(core, entry) && gv_drbg_below(&core->drbg, ++seen) == 0)
            pick = entry;
    }
    book->seek_ms = any ? gv_core_after(core, GV_SEEK_MS - GV_SEEK_MS / 4 +
                                                  gv_drbg_below(&core->drbg, GV_SEEK_MS / 2))
                        : 0;
    if (pick && may_feel(core))
        feel(core, pick);
}

/* What it brought decides. A record or two were under way to both: then it ends, most of the time,
 * for peers that change break trees. More, and it takes the place of the peer of ours that we have
 * had longest: we know another part of the mesh than it does. */
void gv_book_felt(struct gv_core *core, struct gv_link *link)
{
    struct gv_link *oldest = NULL;
    size_t outbound = 0;

    if (!link->feeler)
        return;
    link->feeler = false;
    if (link->fed_records == 0 ||
        (link->fed_records < GV_FEELER_NEWS && gv_drbg_below(&core->drbg, GV_FEELER_ODDS) > 0)) {
        gv_link_close(core, link, GV_GOODBYE_STOPPING);
        return;
    }
    gv_tree_enter(core, link);
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *other = core->links[i];
        if (other == link || !other->outbound || !gv_link_is_peer(other))
            continue;
        outbound++;
        if (!oldest || other->member_ms < oldest->member_ms)
            oldest = other;
    }
    if (outbound >= GV_PEERS_OUTBOUND)
        gv_link_close(core, oldest, GV_GOODBYE_STOPPING);
}

uint64_t gv_book_deadline(const struct gv_core *core)
{
    uint64_t due = UINT64_MAX, own = core->book.own_ms;

    if (core->book.seek_ms != 0 && core->book.seek_ms < own)
        own = core->book.seek_ms;
    if (!wants_more(core))
        return own;
    for (size_t i = 0; i < core->book.count; i++) {
        const struct gv_book_entry *entry = &core->book.entries[i];
        if (entry->self || entry->link || entry->next_ms >= due)
            continue;
        if (entry->next_ms > core->now_ms || may_dial(core, entry))
            due = entry->next_ms;
    }
    if (due < core->book.pause_ms)
        due = core->book.pause_ms;
    return own < due ? own : due;
}
