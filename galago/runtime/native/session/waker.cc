#include "session/waker.h"

#include <chrono>
#include <thread>

#if defined(__linux__) && !defined(GALAGO_WAKER_POLLS)
#define GALAGO_WAKER_HAS_FUTEX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#endif

namespace galago {
namespace {

int64_t now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

// Two calls on a word: sleep while it holds `seen`, at most timeout_ns (< 0: for ever), or for no
// reason at all; and end the sleep of all who sleep on it.
#ifdef GALAGO_WAKER_HAS_FUTEX

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t), "a futex is a plain word");

long futex(std::atomic<uint32_t>* word, int operation, uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation | FUTEX_PRIVATE_FLAG,
                 value, timeout, nullptr, 0);
}

void sleep_on(std::atomic<uint32_t>* word, uint32_t seen, int64_t timeout_ns) {
  timespec left = {};
  if (timeout_ns >= 0) {
    left.tv_sec = static_cast<time_t>(timeout_ns / 1'000'000'000);
    left.tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000);
  }
  futex(word, FUTEX_WAIT, seen, timeout_ns < 0 ? nullptr : &left);
}

void wake_all(std::atomic<uint32_t>* word) { futex(word, FUTEX_WAKE, INT_MAX, nullptr); }

#else

// Where there is no futex the sleeper looks again and again. The standard's condition variable is
// no choice: whoever signals would have to take its lock, and that may be a real-time thread.
constexpr int64_t kPollNs = 1'000'000;

void sleep_on(std::atomic<uint32_t>*, uint32_t, int64_t timeout_ns) {
  const int64_t nap_ns = timeout_ns < 0 || timeout_ns > kPollNs ? kPollNs : timeout_ns;
  std::this_thread::sleep_for(std::chrono::nanoseconds(nap_ns));
}

void wake_all(std::atomic<uint32_t>*) {}

#endif

}  // namespace

void Waker::signal() {
  // Sequentially consistent, as is the sleeper's side: either it sees the count or we see it.
  count_.fetch_add(1, std::memory_order_seq_cst);
  if (num_sleepers_.load(std::memory_order_seq_cst) > 0) {
    wake_all(&count_);
  }
}

void Waker::call_wake() {
  if (wake_.load(std::memory_order_seq_cst) == nullptr) return;
  num_callers_.fetch_add(1, std::memory_order_seq_cst);
  // Read again: from here on set_wake waits for us.
  const WakeFunction* wake = wake_.load(std::memory_order_seq_cst);
  if (wake != nullptr) wake->function(wake->user_data);
  num_callers_.fetch_sub(1, std::memory_order_seq_cst);
}

bool Waker::wait(uint32_t seen, int64_t timeout_ns) {
  const int64_t deadline_ns = timeout_ns < 0 ? 0 : now_ns() + timeout_ns;
  num_sleepers_.fetch_add(1, std::memory_order_seq_cst);
  bool has_news = true;
  while (count_.load(std::memory_order_seq_cst) == seen) {
    const int64_t left_ns = timeout_ns < 0 ? -1 : deadline_ns - now_ns();
    if (timeout_ns >= 0 && left_ns <= 0) {
      has_news = false;
      break;
    }
    // It answers at once if the count moved meanwhile; interruptions go round again.
    sleep_on(&count_, seen, left_ns);
  }
  num_sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  return has_news;
}

void Waker::set_wake(galago_wake_fn wake, void* user_data) {
  const WakeFunction* next = nullptr;
  if (wake != nullptr) {
    slots_[next_slot_] = {wake, user_data};
    next = &slots_[next_slot_];
    next_slot_ = 1 - next_slot_;
  }
  wake_.store(next, std::memory_order_seq_cst);
  while (num_callers_.load(std::memory_order_seq_cst) > 0) std::this_thread::yield();
}

}  // namespace galago
