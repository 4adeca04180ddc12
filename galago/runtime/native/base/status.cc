#include "base/status.h"

#include <cstdarg>
#include <cstdio>

namespace galago {
namespace {

constexpr int kMaxMessageBytes = 1024;

// Initial-exec storage exists as soon as the thread does: a real-time thread that meets its first
// error does not allocate it then, as it would with the dynamic model.  It is kept to two words
// because such storage is scarce in a library that is loaded late.
struct RealTimeMessage {
  const char* format;  // nullptr: the last message is in `message`
  uint64_t number;
};
__attribute__((tls_model("initial-exec"))) thread_local RealTimeMessage real_time_message = {};

thread_local char message[kMaxMessageBytes] = "";

}  // namespace

void fail(galago_status status, const char* format, ...) {
  char text[kMaxMessageBytes];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  throw Error(status, text);
}

void set_last_error(const char* text) noexcept {
  real_time_message.format = nullptr;
  std::snprintf(message, sizeof(message), "%s", text);
}

void set_last_error_real_time(const char* format, uint64_t number) noexcept {
  real_time_message.format = format;
  real_time_message.number = number;
}

const char* last_error() noexcept {
  if (real_time_message.format != nullptr) {
    std::snprintf(message, sizeof(message), real_time_message.format,
                  static_cast<unsigned long long>(real_time_message.number));
    real_time_message.format = nullptr;
  }
  return message;
}

const char* status_name(galago_status status) noexcept {
  switch (status) {
    case GALAGO_OK:
      return "GALAGO_OK";
    case GALAGO_EMPTY:
      return "GALAGO_EMPTY";
    case GALAGO_TIMEOUT:
      return "GALAGO_TIMEOUT";
    case GALAGO_E_INTERNAL:
      return "GALAGO_E_INTERNAL";
    case GALAGO_E_INVALID_ARGUMENT:
      return "GALAGO_E_INVALID_ARGUMENT";
    case GALAGO_E_INVALID_STATE:
      return "GALAGO_E_INVALID_STATE";
    case GALAGO_E_ABI:
      return "GALAGO_E_ABI";
    case GALAGO_E_NOT_FOUND:
      return "GALAGO_E_NOT_FOUND";
    case GALAGO_E_CORRUPT:
      return "GALAGO_E_CORRUPT";
    case GALAGO_E_UNSUPPORTED:
      return "GALAGO_E_UNSUPPORTED";
    case GALAGO_E_NO_MEMORY:
      return "GALAGO_E_NO_MEMORY";
    case GALAGO_E_FULL:
      return "GALAGO_E_FULL";
    case GALAGO_E_BACKEND:
      return "GALAGO_E_BACKEND";
    default:
      return "unknown galago_status";
  }
}

}  // namespace galago
