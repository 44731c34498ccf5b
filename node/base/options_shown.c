/* The configuration that is in force, and where each value comes from. */
#include <string.h>

#include "node/base/log.h"
#include "node/base/options.h"

#define SHOWN_MAX 4096 /* bytes of one value; a list of thousands is cut */

/* "https://hooks.example/..." */
static void hide_path(char *text)
{
    char *host = strstr(text, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    char *user = host ? strchr(host + 3, '@') : NULL;

    if (user && (!path || user < path)) /* a name and a password before the host */
        path = host + 3;
    if (path && path[0] && path[1])
        strcpy(path, strlen(path) >= 4 ? "/..." : "/");
}

static json_t *value_json(const struct gv_config_key *key, const char *text)
{
    char safe[SHOWN_MAX], line[SHOWN_MAX];

    snprintf(line, sizeof line, "%s", text);
    for (char *at = line; *at; at++)
        *at = *at == '\n' ? ' ' : *at;
    if (strcmp(key->key, "webhook") == 0)
        hide_path(line);
    gv_log_safe(safe, sizeof safe, line, strlen(line));
    return json_string(safe);
}

json_t *gv_options_json(const struct gv_options *options, const struct gv_options *started,
                        const char *path)
{
    const struct gv_config_table *table = gv_options_table();
    char safe[SHOWN_MAX];
    json_t *list = json_array();

    for (size_t i = 0; i < table->count; i++) {
        const struct gv_config_key *key = &table->keys[i];
        const struct gv_config_said *said = options->said ? &options->said[i] : NULL;
        bool given = said && said->line;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:o, s:s, s:s}", "section", key->section, "key",
                            key->key, "value",
                            value_json(key, given           ? said->text
                                            : key->fallback ? key->fallback
                                                            : ""),
                            "line", given ? json_integer(said->line) : json_null(), "default",
                            key->fallback ? key->fallback : "", "doc", key->doc));
    }
    gv_log_safe(safe, sizeof safe, path, strlen(path));
    return json_pack("{s:s, s:s?, s:o}", "file", safe, "restart",
                     started ? gv_options_fixed_change(started, options) : NULL, "settings", list);
}
