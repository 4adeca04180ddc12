// One role of a session, as the session's steps see it: it takes its input from its own capture
// thread, and turns it into events a step at a time.
//
// Roles break one by one: the ear goes on hearing when the eye's engine has failed.
#ifndef GALAGO_NATIVE_ROLE_ROLE_STREAM_H_
#define GALAGO_NATIVE_ROLE_ROLE_STREAM_H_

#include <atomic>
#include <cstdint>

#include "role/event_queue.h"

namespace galago {

// The latest time that an input may be captured at: sums of two never overflow.
constexpr int64_t kMaxCaptureNs = int64_t{1} << 62;

class RoleStream {
 public:
  // `role` ("ear") is a literal; `events` outlives the stream.
  RoleStream(const char* role, EventQueue* events) : role_(role), events_(events) {}
  virtual ~RoleStream() = default;
  RoleStream(const RoleStream&) = delete;
  RoleStream& operator=(const RoleStream&) = delete;

  const char* role() const { return role_; }
  // Until reset. From any thread.
  bool has_failed() const { return has_failed_.load(std::memory_order_acquire); }

  // The stepping thread, while it has not failed: one chunk, one image. GALAGO_EMPTY: nothing to do
  // now, or, if the input has ended, ever. Negative: it broke, as GALAGO_EVENT_FAILED tells.
  galago_status step(bool has_ended) noexcept;
  // Whether a step would do something before the end of the input.
  virtual bool is_ready() const = 0;

  // As if just opened. Capture and stepping threads are outside.
  void reset();

 protected:
  // The work of step(): false if there was nothing to do.
  virtual bool advance(bool has_ended) = 0;
  virtual void forget() = 0;
  // Breaks the stream; `at_ns` is the capture time that it failed at.
  void fail_stream(galago_status status, const char* message, int64_t at_ns) noexcept;

  EventQueue* events() { return events_; }

 private:
  const char* const role_;
  EventQueue* const events_;
  galago_status failure_ = GALAGO_OK;
  std::atomic<bool> has_failed_{false};
};

}  // namespace galago

#endif  // GALAGO_NATIVE_ROLE_ROLE_STREAM_H_
