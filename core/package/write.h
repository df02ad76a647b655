/* write.h - graph and plan to package bytes (format.h). Decides nothing. */
#ifndef WAI_PACKAGE_WRITE_H
#define WAI_PACKAGE_WRITE_H

#include "base/writer.h"
#include "plan/plan.h"

/*
 * Write the package with `certificate`'s figures; package_size, arena_size and
 * step_count are filled in here. Figures and hashes are still zero: seal it (seal.h).
 */
wai_status wai_package_write(wai_writer *out, wai_graph *graph, const wai_plan *plan,
                             wai_certificate *certificate);

#endif
