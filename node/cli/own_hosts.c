#include "node/cli/own_hosts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/address.h"

#define WIDEST_4 8
#define WIDEST_6 16

/* ---- one word ------------------------------------------------------------------------------- */

static unsigned bits_of(const struct gv_config_address *a)
{
    return a->family == GV_FAMILY_IPV4 ? 32 : 128;
}

static void mask_rest(struct gv_config_address *a)
{
    for (unsigned bit = a->prefix; bit < bits_of(a); bit++)
        a->bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

/* "24", "255.255.255.0" */
static bool parse_bits(unsigned *out, const char *text, bool four)
{
    struct in_addr mask;

    if (*text && strlen(text) <= 3 && text[strspn(text, "0123456789")] == '\0') {
        *out = (unsigned)atoi(text);
        return *out <= (four ? 32u : 128u);
    }
    if (!four || inet_pton(AF_INET, text, &mask) != 1)
        return false;
    uint32_t bits = ntohl(mask.s_addr);
    *out = 0;
    while (*out < 32 && bits & 0x80000000u >> *out)
        ++*out;
    return *out == 32 || (bits << *out) == 0;
}

/* ::ffff:192.0.2.0/120 is 192.0.2.0/24. */
static void unmap(struct gv_config_address *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (a->family != GV_FAMILY_IPV6 || a->prefix < 96 || memcmp(a->bytes, mapped, 12) != 0)
        return;
    a->family = GV_FAMILY_IPV4;
    a->prefix = (uint8_t)(a->prefix - 96);
    memmove(a->bytes, a->bytes + 12, 4);
    memset(a->bytes + 4, 0, 12);
}

static bool parse_address(struct gv_config_address *out, const char *word)
{
    char address[GV_OWN_WORD];
    unsigned bits;
    const char *slash = strchr(word, '/');
    size_t len = slash ? (size_t)(slash - word) : strlen(word);

    memset(out, 0, sizeof *out);
    if (len >= 2 && word[0] == '[' && word[len - 1] == ']') {
        word++;
        len -= 2;
    }
    memcpy(address, word, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, out->bytes) == 1)
        out->family = GV_FAMILY_IPV4;
    else if (inet_pton(AF_INET6, address, out->bytes) == 1)
        out->family = GV_FAMILY_IPV6;
    else
        return false;
    bits = bits_of(out);
    if (slash && !parse_bits(&bits, slash + 1, out->family == GV_FAMILY_IPV4))
        return false;
    out->prefix = (uint8_t)bits;
    mask_rest(out);
    unmap(out);
    return true;
}

static bool is_loopback(const struct gv_config_address *a)
{
    static const uint8_t one[16] = {[15] = 1};

    return a->family == GV_FAMILY_IPV4 ? a->prefix >= 8 && a->bytes[0] == 127
                                       : a->prefix == 128 && memcmp(a->bytes, one, 16) == 0;
}

/* ---- the lists ------------------------------------------------------------------------------ */

static bool covers(const struct gv_config_address *wide, const struct gv_config_address *narrow)
{
    return wide->family == narrow->family && wide->prefix <= narrow->prefix &&
           gv_config_address_contains(wide, narrow->bytes,
                                      narrow->family == GV_FAMILY_IPV4 ? 4 : 16);
}

static void note_unclear(struct gv_own_hosts *out, const char *source, const char *word,
                         const char *why)
{
    if (out->unclear_count == GV_OWN_UNCLEAR_MAX) {
        out->left_out++;
        return;
    }
    struct gv_own_unclear *unclear = &out->unclear[out->unclear_count++];
    snprintf(unclear->text, sizeof unclear->text, "%s", word);
    unclear->source = source;
    unclear->why = why;
}

static void take_word(struct gv_own_hosts *out, const char *source, const char *word)
{
    struct gv_own_host host = {.source = source};

    if (*word == '!') {
        note_unclear(out, source, word, "an exclusion");
        return;
    }
    if (!parse_address(&host.address, word)) {
        note_unclear(out, source, word, "not an address");
        return;
    }
    if (is_loopback(&host.address))
        return;
    if (host.address.prefix < (host.address.family == GV_FAMILY_IPV4 ? WIDEST_4 : WIDEST_6)) {
        note_unclear(out, source, word, "too wide to be trusted");
        return;
    }
    for (size_t i = 0; i < out->count; i++)
        if (covers(&out->hosts[i].address, &host.address))
            return;
    if (out->count == GV_OWN_HOSTS_MAX)
        out->left_out++;
    else
        out->hosts[out->count++] = host;
}

static bool separates(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '\n' || c == '\r' || c == '\0';
}

void gv_own_hosts_words(struct gv_own_hosts *out, const char *source, const char *text, size_t len,
                        bool file)
{
    size_t at = 0;

    while (at < len) {
        char word[GV_OWN_WORD];
        size_t n = 0;

        while (at < len && separates(text[at]))
            at++;
        if (file && at < len && text[at] == '#') {
            while (at < len && text[at] != '\n')
                at++;
            continue;
        }
        while (at < len && !separates(text[at])) {
            if (n < sizeof word - 1)
                word[n++] = text[at];
            at++;
        }
        word[n] = '\0';
        if (n)
            take_word(out, source, word);
    }
}

/* ---- Exim ----------------------------------------------------------------------------------- */

static void take_exim_item(struct gv_own_hosts *out, const char *source, const char *item,
                           size_t len)
{
    static const char *const here[] = {"", "@", "@[]", "localhost"};
    char word[GV_OWN_WORD];

    while (len > 0 && separates(*item))
        item++, len--;
    while (len > 0 && separates(item[len - 1]))
        len--;
    snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), item);
    for (size_t i = 0; i < sizeof here / sizeof *here; i++)
        if (strcmp(word, here[i]) == 0)
            return;
    take_word(out, source, word);
}

void gv_own_hosts_exim(struct gv_own_hosts *out, const char *source, const char *text, size_t len)
{
    char item[GV_OWN_WORD], separator = ':';
    const char *end = text + len, *equals = memchr(text, '=', len);
    size_t n = 0;

    text = equals ? equals + 1 : text;
    while (text < end && separates(*text))
        text++;
    if (end - text >= 2 && text[0] == '<') {
        separator = text[1];
        text += 2;
    }
    for (; text < end; text++) {
        bool doubled = *text == separator && text + 1 < end && text[1] == separator;
        if (*text == separator && !doubled) {
            take_exim_item(out, source, item, n);
            n = 0;
            continue;
        }
        text += doubled;
        if (n < sizeof item && *text)
            item[n++] = *text;
    }
    take_exim_item(out, source, item, n);
}

/* ---- fail2ban ------------------------------------------------------------------------------- */

static const char *line_end(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));

    return newline ? newline : end;
}

/* The value's text up to a comment, as fail2ban reads it: " #" or " ;" ends it. */
static void take_value(struct gv_own_hosts *out, const char *at, const char *end)
{
    const char *stop = at;

    while (stop < end && !((*stop == '#' || *stop == ';') && (stop == at || separates(stop[-1]))))
        stop++;
    gv_own_hosts_words(out, "ignoreip of fail2ban", at, (size_t)(stop - at), false);
}

void gv_own_hosts_fail2ban(struct gv_own_hosts *out, const char *text, size_t len)
{
    static const char key[] = "ignoreip";
    const char *at = text, *end = text + len;
    bool ours = false;

    for (; at < end; at = line_end(at, end) + (line_end(at, end) < end)) {
        const char *stop = line_end(at, end), *first = at;

        while (first < stop && (*first == ' ' || *first == '\t' || *first == '\r'))
            first++;
        if (first == stop || *first == '#' || *first == ';')
            continue;
        if (first > at && ours) {
            take_value(out, first, stop);
            continue;
        }
        ours = false;
        if ((size_t)(stop - first) < sizeof key - 1 || memcmp(first, key, sizeof key - 1) != 0)
            continue;
        first += sizeof key - 1;
        while (first < stop && (*first == ' ' || *first == '\t'))
            first++;
        if (first == stop || (*first != '=' && *first != ':'))
            continue;
        ours = true;
        take_value(out, first + 1, stop);
    }
}

/* ---- what they are for ---------------------------------------------------------------------- */

bool gv_own_host_listed(const struct gv_own_host *host, const struct gv_config_addresses *allow)
{
    for (size_t i = 0; i < allow->count; i++)
        if (covers(&allow->items[i], &host->address))
            return true;
    return false;
}

void gv_own_host_text(char out[GV_OWN_PREFIX_TEXT], const struct gv_own_host *host)
{
    const struct gv_config_address *a = &host->address;
    char address[INET6_ADDRSTRLEN];

    inet_ntop(a->family == GV_FAMILY_IPV4 ? AF_INET : AF_INET6, a->bytes, address, sizeof address);
    if (a->prefix == bits_of(a))
        snprintf(out, GV_OWN_PREFIX_TEXT, "%s", address);
    else
        snprintf(out, GV_OWN_PREFIX_TEXT, "%s/%u", address, a->prefix);
}
