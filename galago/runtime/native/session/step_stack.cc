#include "session/step_stack.h"

#include <cstdint>

namespace galago {
namespace {

constexpr size_t kSmallestPageBytes = 4096;

__attribute__((noinline)) void write_pages() noexcept {
  char stack[kStepStackBytes];
  volatile char* const bytes = stack;  // so that the writes are made, though nobody reads them
  for (size_t i = 0; i < kStepStackBytes; i += kSmallestPageBytes) bytes[i] = 0;
}

}  // namespace

void write_step_stack() noexcept {
  thread_local uintptr_t written_from = UINTPTR_MAX;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here >= written_from) return;
  written_from = here;
  write_pages();
}

}  // namespace galago
