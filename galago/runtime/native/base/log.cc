#include "base/log.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <limits>
#include <mutex>

namespace galago {
namespace {

constexpr int32_t kSilent = std::numeric_limits<int32_t>::max();

std::atomic<int32_t> lowest_level{kSilent};
// Held during the call: set_log(nullptr) returns only when the old function is no longer running.
std::mutex sink_mutex;
galago_log_fn sink = nullptr;
void* sink_user_data = nullptr;

}  // namespace

void set_log(galago_log_fn log, void* user_data, int32_t min_level) {
  std::lock_guard<std::mutex> lock(sink_mutex);
  sink = log;
  sink_user_data = user_data;
  lowest_level.store(log == nullptr ? kSilent : min_level, std::memory_order_relaxed);
}

void log(int32_t level, const char* format, ...) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  std::lock_guard<std::mutex> lock(sink_mutex);
  if (sink != nullptr) sink(sink_user_data, level, text);
}

}  // namespace galago
