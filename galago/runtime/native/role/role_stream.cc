#include "role/role_stream.h"

#include <exception>

#include "base/log.h"
#include "base/status.h"
#include "role/metrics.h"

namespace galago {

galago_status RoleStream::step(bool has_ended) noexcept {
  bool stepped = false;
  try {
    stepped = advance(has_ended);
  } catch (const std::exception& error) {
    // A defect of ours must not end the caller's process.
    fail_stream(GALAGO_E_INTERNAL, error.what(), 0);
  }
  if (has_failed()) return failure_;
  return stepped ? GALAGO_OK : GALAGO_EMPTY;
}

void RoleStream::reset() {
  forget();
  has_failed_.store(false, std::memory_order_release);
}

void RoleStream::fail_stream(galago_status status, const char* message, int64_t at_ns) noexcept {
  galago_event* event = events_->begin(GALAGO_EVENT_FAILED);
  event->status = status;
  event->begin_ns = event->end_ns = at_ns;
  event->emitted_ns = monotonic_ns();
  // Before the text, which may be cut to what is left.
  events_->add_class(role_, 1.0f);
  events_->set_text(message);
  events_->publish();
  log(GALAGO_LOG_ERROR, "the %s failed: %s", role_, message);
  set_last_error(message);
  failure_ = status;
  has_failed_.store(true, std::memory_order_release);
}

}  // namespace galago
