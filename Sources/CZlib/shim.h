#pragma once

#include <zlib.h>

/// `inflateInit2` is a macro, which Swift does not import. Reads the gzip format alone, header and trailer checked.
static inline int czlib_inflate_init_gzip(z_stream *stream) { return inflateInit2(stream, 15 + 16); }
