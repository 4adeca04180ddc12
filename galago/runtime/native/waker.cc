#include "waker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <thread>

namespace galago {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t), "a futex is a plain word");

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

long futex(std::atomic<uint32_t>* word, int operation, uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation | FUTEX_PRIVATE_FLAG,
                 value, timeout, nullptr, 0);
}

}  // namespace

void Waker::signal() {
  // Sequentially consistent, as is the sleeper's side: either it sees the count or we see it.
  count_.fetch_add(1, std::memory_order_seq_cst);
  if (num_sleepers_.load(std::memory_order_seq_cst) > 0) {
    futex(&count_, FUTEX_WAKE, INT_MAX, nullptr);
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
    timespec left = {};
    if (timeout_ns >= 0) {
      const int64_t left_ns = deadline_ns - now_ns();
      if (left_ns <= 0) {
        has_news = false;
        break;
      }
      left.tv_sec = static_cast<time_t>(left_ns / 1'000'000'000);
      left.tv_nsec = static_cast<long>(left_ns % 1'000'000'000);
    }
    // It answers at once if the count moved meanwhile; interruptions go round again.
    futex(&count_, FUTEX_WAIT, seen, timeout_ns < 0 ? nullptr : &left);
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
