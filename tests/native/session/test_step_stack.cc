// A thread's first step writes the stack that its later ones need.
#include "session/step_stack.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

#include "check.h"
#include "resident.h"
#include "session/session_fixture.h"

using namespace galago;

namespace {

constexpr size_t kStackBytes = 4 << 20;
constexpr size_t kFramesBytes = 8 << 10;  // of the calls between a thread's function and the step

struct Stepper {
  Session* session;
  uintptr_t frame;
};

void* step(void* stepper) {
  auto* const me = static_cast<Stepper*>(stepper);
  char here = 0;
  me->frame = reinterpret_cast<uintptr_t>(&here);
  if (me->session != nullptr) me->session->step();
  return nullptr;
}

// Whether the stack that a step may need is in memory after a thread with a fresh one has run.
bool is_stack_resident(Session* session) {
  void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(stack != MAP_FAILED);
  CHECK(madvise(stack, kStackBytes, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setstack(&attributes, stack, kStackBytes) == 0);
  Stepper stepper = {session, 0};
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, step, &stepper) == 0);
  CHECK(pthread_join(thread, nullptr) == 0);
  CHECK(pthread_attr_destroy(&attributes) == 0);
  const auto* const begin = reinterpret_cast<const char*>(stepper.frame - kStepStackBytes);
  const bool is_all = is_resident(begin, kStepStackBytes - kFramesBytes);
  CHECK(munmap(stack, kStackBytes) == 0);
  return is_all;
}

}  // namespace

TEST(the_first_step_of_a_thread_writes_the_stack_that_later_ones_need) {
  SessionFixture fixture("....");
  CHECK(is_stack_resident(fixture.session.get()));
  CHECK(is_stack_resident(fixture.session.get()));  // another thread, which has its own
}

TEST(a_thread_that_does_not_step_keeps_its_stack_small) { CHECK(!is_stack_resident(nullptr)); }
