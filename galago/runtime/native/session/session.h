// A session: the roles of a bundle, one after the other in each step, and one queue for all their
// events.
//
//   push_audio ─> ear ────┐
//   (capture)             │
//   speak ──────> voice ──┼─ step ─> events ─> next_event
//   (any thread)  │       │                    (control)
//   push_image ─> │ eye ──┘
//   (camera)      └──> read_speech (playback)
#ifndef GALAGO_NATIVE_SESSION_SESSION_H_
#define GALAGO_NATIVE_SESSION_SESSION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "ear/ear_stream.h"
#include "eye/eye_stream.h"
#include "role/event_queue.h"
#include "role/metrics.h"
#include "role/role_stream.h"
#include "session/waker.h"
#include "voice/voice_stream.h"

namespace galago {

// What a bundle has opened; NULL: it has no such role.
struct OpenedRoles {
  const OpenedEar* ear = nullptr;
  const OpenedEye* eye = nullptr;
  const OpenedVoice* voice = nullptr;
};

class Session {
 public:
  // One role at least. Throws Error. Engines are kept alive; of the rest copies are made.
  Session(const OpenedRoles& roles, const galago_session_options& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  galago_session_info info() const;
  galago_metrics metrics() const { return metrics_.get(); }

  // The capture thread; real-time safe; the status's message is set.
  galago_status push_audio(const float* samples, size_t num_samples, int64_t capture_ns) noexcept;
  galago_status end_input() noexcept;
  // The camera's thread; likewise.
  galago_status push_image(const galago_image& image) noexcept;

  // The playback thread; likewise.
  galago_status read_speech(float* samples, size_t capacity, size_t* num_read) noexcept;

  // Any thread; throws Error.
  uint64_t speak(std::string_view utf8);
  void stop_speech();

  // The control thread; those that answer nothing throw Error.
  galago_status step();
  galago_status next_event(galago_event* event);
  galago_status wait(int32_t timeout_ms);
  void set_wake(galago_wake_fn wake, void* user_data);
  void reset();
  void set_grammar(const void* bytes, size_t num_bytes);
  void set_phrases(const void* bytes, size_t num_bytes);
  void set_hotwords(const std::vector<Hotword>& hotwords);

 private:
  // Under step_mutex_: what one step answers.
  galago_status advance();
  void work();
  bool has_worker() const { return (flags_ & GALAGO_SESSION_WORKER) != 0; }
  bool has_failed() const;  // every role has: until reset, nothing more will come
  bool has_ended() const;   // nothing more will come of what there was to hear, see and say
  void tell_step();         // that a step may now do something; real-time safe
  bool step_is_ready() const;
  // They throw GALAGO_E_UNSUPPORTED where nothing hears or speaks.
  Listener& listener(const char* call);
  VoiceStream& voice(const char* call);

  const uint32_t flags_;

  // Between the threads.
  std::atomic<bool> end_requested_{false};
  std::atomic<bool> is_over_{false};  // the input ended and all of it is processed
  Waker waker_;
  SessionMetrics metrics_;

  std::mutex step_mutex_;  // a step against changes from the control thread
  EventQueue events_;
  std::unique_ptr<EarStream> ear_;
  std::unique_ptr<EyeStream> eye_;
  std::unique_ptr<VoiceStream> voice_;
  std::vector<RoleStream*> roles_;  // those that there are, in the order of their turn

  std::atomic<bool> stop_worker_{false};
  std::thread worker_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_SESSION_SESSION_H_
