// Sleeping until another thread has news, where that thread must not block.
//
// An event count: news add one, a sleeper waits until the count is no longer what it read before
// it looked. On Linux a futex; elsewhere the sleeper polls, and news are up to a millisecond late.
// The caller's wake function is the same for sleepers that live outside galago.
#ifndef GALAGO_NATIVE_SESSION_WAKER_H_
#define GALAGO_NATIVE_SESSION_WAKER_H_

#include <atomic>
#include <cstdint>

#include "galago/galago.h"

namespace galago {

class Waker {
 public:
  // There is news. Real-time safe: an atomic addition, and a system call only if somebody sleeps.
  void signal();

  // Calls the caller's wake function, if there is one. Real-time safe as far as that one is.
  void call_wake();

  // The count, to be read before looking for news.
  uint32_t count() const { return count_.load(std::memory_order_seq_cst); }

  // Sleeps until count() is not `seen`, or the time is over (< 0: for ever). False: it is over.
  bool wait(uint32_t seen, int64_t timeout_ns);

  // NULL removes it. When this returns, the one before is not running and will not be called.
  // One thread at a time.
  void set_wake(galago_wake_fn wake, void* user_data);

 private:
  struct WakeFunction {
    galago_wake_fn function;
    void* user_data;
  };

  std::atomic<uint32_t> count_{0};
  std::atomic<uint32_t> num_sleepers_{0};
  std::atomic<uint32_t> num_callers_{0};  // inside call_wake
  std::atomic<const WakeFunction*> wake_{nullptr};
  WakeFunction slots_[2] = {};  // the one in use and the next one
  int next_slot_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_SESSION_WAKER_H_
