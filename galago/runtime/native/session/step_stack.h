// The stack that a step needs, in memory before it is needed.
//
// An engine's kernels take some 55 KiB of stack, a little more where a rare path leads to them: the
// page that this reaches first after an hour would be the process's growth, and a page fault in a
// step. Real-time programs write their stack at the begin; who steps is known at the first step.
#ifndef GALAGO_NATIVE_SESSION_STEP_STACK_H_
#define GALAGO_NATIVE_SESSION_STEP_STACK_H_

#include <cstddef>

namespace galago {

constexpr size_t kStepStackBytes = 80 << 10;

// Writes what is below the caller's frame, unless this thread has done so from as deep a frame.
// Real-time safe. Threads that step have larger stacks: docs/c-api.md says so.
void write_step_stack() noexcept;

}  // namespace galago

#endif  // GALAGO_NATIVE_SESSION_STEP_STACK_H_
