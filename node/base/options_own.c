#include <string.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/options.h"

int gv_options_load_own(struct gv_options *out, const char *path, struct gv_buf *errors)
{
    struct gv_text why = {""};
    int rc = gv_options_load(out, path, errors);

    if (rc != GV_OK)
        return rc;
    rc = gv_file_check_writers(path, &why);
    if (rc == GV_OK)
        return GV_OK;
    gv_buf_append(errors, why.text, strlen(why.text));
    gv_buf_append(errors, "\n", 1);
    gv_options_free(out);
    return rc;
}
