// The caller's log function.  Never called from a real-time safe call.
#ifndef GALAGO_NATIVE_BASE_LOG_H_
#define GALAGO_NATIVE_BASE_LOG_H_

#include <cstdint>

#include "galago/galago.h"

namespace galago {

void set_log(galago_log_fn log, void* user_data, int32_t min_level);

// Formats and hands over one line; costs one atomic load while nobody listens.
void log(int32_t level, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_LOG_H_
