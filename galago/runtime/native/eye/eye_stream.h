// The eye of a session: images in on the camera's thread, steps, labels out.
//
//   push ─> scaler ─> inbox (the newest) ─> network ─> label smoother ─> LABELS
//   (camera)                             └────────── advance ─────────┘
//
// An image is scaled where it is pushed, so that it is the caller's again when push returns, and
// only what the network sees is kept.
#ifndef GALAGO_NATIVE_EYE_EYE_STREAM_H_
#define GALAGO_NATIVE_EYE_EYE_STREAM_H_

#include <cstdint>
#include <memory>

#include "engine/engine.h"
#include "eye/eye.h"
#include "eye/image_inbox.h"
#include "eye/image_scaler.h"
#include "eye/label_smoother.h"
#include "role/metrics.h"
#include "role/role_stream.h"

namespace galago {

// What of an opened bundle an eye needs.
struct OpenedEye {
  Eye eye;
  EyeTarget target;
  std::shared_ptr<Engine> engine;
};

class EyeStream : public RoleStream {
 public:
  // `events` and `metrics` outlive the stream. Throws Error.
  EyeStream(const OpenedEye& opened, const galago_session_options& options, EventQueue* events,
            SessionMetrics* metrics);

  // What the events of such a stream can hold.
  static EventLimits event_limits(const OpenedEye& opened, const galago_session_options& options);

  // Fills in what is the eye's.
  void describe(galago_session_info* info) const;

  // The camera's thread; real-time safe; the status's message is set.
  galago_status push(const galago_image& image) noexcept;

  bool is_ready() const override { return inbox_.has_image(); }

  size_t num_bytes() const;

 private:
  bool advance(bool has_ended) override;
  void forget() override;
  void begin_event(uint32_t type, int64_t capture_ns);

  const Eye eye_;
  const bool tells_logits_;
  const std::shared_ptr<Engine> engine_;
  SessionMetrics* const metrics_;

  ImageScaler scaler_;  // the camera thread's
  ImageInbox inbox_;    // between the threads

  // The stepping thread's.
  std::unique_ptr<EngineStream> stream_;
  LabelSmoother smoother_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EYE_EYE_STREAM_H_
