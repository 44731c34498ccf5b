/* What `grapevine setup` reads of other programs, and the edit of the node's own file. The first
 * byte chooses: a list of Postfix's or Dovecot's, a file of fail2ban's, or an INI file, which is
 * edited and then holds the value where it is asked for, with no other line lost. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/config_edit.h"
#include "node/cli/own_hosts.h"

static void must(int condition)
{
    if (!condition)
        abort();
}

static void judge(const struct gv_own_hosts *own)
{
    char text[GV_OWN_PREFIX_TEXT];
    struct gv_config_address again;

    must(own->count <= GV_OWN_HOSTS_MAX && own->unclear_count <= GV_OWN_UNCLEAR_MAX);
    for (size_t i = 0; i < own->count; i++) {
        const struct gv_config_address *a = &own->hosts[i].address;
        must(a->prefix >= (a->family == 4 ? 8 : 16));
        gv_own_host_text(text, &own->hosts[i]); /* what [policy] allow takes, and means the same */
        must(gv_config_address_parse(&again, text) == GV_OK);
        must(again.family == a->family && again.prefix == a->prefix &&
             memcmp(again.bytes, a->bytes, a->family == 4 ? 4 : 16) == 0);
    }
    for (size_t i = 0; i < own->unclear_count; i++)
        must(memchr(own->unclear[i].text, '\0', GV_OWN_WORD) != NULL);
}

static size_t count_lines(const void *text, size_t len)
{
    const char *at = text, *end = at + len;
    size_t lines = 0;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        lines++;
        at = newline ? newline + 1 : end;
    }
    return lines;
}

static void edit(const char *text, size_t len)
{
    struct gv_buf once, twice, added;

    gv_buf_init(&once);
    gv_buf_init(&twice);
    gv_buf_init(&added);
    must(gv_config_edit(&once, text, len, "policy", "allow", "192.0.2.7", false) == GV_OK);
    must(once.data && memmem(once.data, once.len, "allow = 192.0.2.7", 17) != NULL);
    must(gv_config_edit(&twice, (const char *)once.data, once.len, "policy", "allow", "192.0.2.7",
                        false) == GV_OK);
    must(twice.len == once.len && memcmp(twice.data, once.data, once.len) == 0);
    must(gv_config_edit(&added, text, len, "policy", "allow", "192.0.2.7", true) == GV_OK);
    must(count_lines(added.data, added.len) > count_lines(text, len));
    gv_buf_free(&once);
    gv_buf_free(&twice);
    gv_buf_free(&added);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gv_own_hosts own;

    if (size < 1)
        return 0;
    char *text =
        malloc(size > 1 ? size - 1 : 1); /* exact, so that an access past the end is seen */
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    memset(&own, 0, sizeof own);
    switch (data[0] == 'x' ? 'x' : data[0] % 4) {
    case 'x':
        gv_own_hosts_exim(&own, "fuzz", text, size - 1);
        break;
    case 0:
        gv_own_hosts_words(&own, "fuzz", text, size - 1, false);
        break;
    case 1:
        gv_own_hosts_words(&own, "fuzz", text, size - 1, true);
        break;
    case 2:
        gv_own_hosts_fail2ban(&own, text, size - 1);
        break;
    default:
        edit(text, size - 1);
        break;
    }
    judge(&own);
    free(text);
    return 0;
}
