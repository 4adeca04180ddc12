#include "eye/eye_stream.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "base/status.h"

namespace galago {
namespace {

size_t num_values(const ImageSpec& spec) {
  return size_t{3} * static_cast<size_t>(spec.width) * static_cast<size_t>(spec.height);
}

}  // namespace

EyeStream::EyeStream(const OpenedEye& opened, const galago_session_options& options,
                     EventQueue* events, SessionMetrics* metrics)
    : RoleStream("eye", events),
      eye_(opened.eye),
      tells_logits_((options.flags & GALAGO_SESSION_POSTERIORS) != 0),
      engine_(opened.engine),
      metrics_(metrics),
      scaler_(eye_.image),
      inbox_(num_values(eye_.image)),
      stream_(engine_->open_stream()),
      smoother_(eye_.labels.size(), eye_.scores) {}

EventLimits EyeStream::event_limits(const OpenedEye& opened,
                                    const galago_session_options& options) {
  EventLimits limits;
  std::vector<size_t> sizes;
  for (const std::string& label : opened.eye.labels) sizes.push_back(label.size() + 1);
  const size_t num_top = std::min(sizes.size(), LabelSmoother::kMaxTop);
  std::partial_sort(sizes.begin(), sizes.begin() + static_cast<ptrdiff_t>(num_top), sizes.end(),
                    std::greater<>());
  size_t num_bytes = 0;
  for (size_t i = 0; i < num_top; ++i) num_bytes += sizes[i];
  limits.text_bytes = std::max(limits.text_bytes, num_bytes);
  limits.num_words = 0;
  limits.num_labels = LabelSmoother::kMaxTop;
  limits.num_values = (options.flags & GALAGO_SESSION_POSTERIORS) != 0 ? sizes.size() : 1;
  return limits;
}

void EyeStream::describe(galago_session_info* info) const {
  info->image_width = eye_.image.width;
  info->image_height = eye_.image.height;
}

size_t EyeStream::num_bytes() const {
  return sizeof(*this) + scaler_.num_bytes() + inbox_.num_bytes() + stream_->num_bytes() +
         smoother_.num_bytes();
}

galago_status EyeStream::push(const galago_image& image) noexcept {
  if (has_failed()) {
    set_last_error_real_time("push_image: the eye has failed; reset the session");
    return GALAGO_E_INVALID_STATE;
  }
  const galago_status status = ImageScaler::check(image);
  if (status != GALAGO_OK) return status;
  ImageInbox::Slot* slot = inbox_.writing();
  slot->capture_ns = image.capture_ns;
  scaler_.scale(image, slot->pixels.data());
  if (inbox_.publish()) metrics_->count_replaced_image();
  return GALAGO_OK;
}

bool EyeStream::advance(bool /*has_ended*/) {
  const int64_t begin_ns = monotonic_ns();
  const ImageInbox::Slot* slot = inbox_.take();
  if (slot == nullptr) return false;
  // The engine's input stays where it was bound: a copy of this size takes microseconds.
  std::memcpy(stream_->input(EyeTarget::kImage), slot->pixels.data(),
              slot->pixels.size() * sizeof(float));
  const int64_t engine_begin_ns = monotonic_ns();
  const char* failure = stream_->run();
  const int64_t engine_end_ns = monotonic_ns();
  if (failure != nullptr) {
    fail_stream(GALAGO_E_BACKEND, failure, slot->capture_ns);
    return true;
  }
  const float* logits = stream_->output(EyeTarget::kLogits);
  if (!smoother_.advance(logits, slot->capture_ns)) {
    fail_stream(GALAGO_E_BACKEND, "the engine's output is not finite", slot->capture_ns);
    return true;
  }

  if (tells_logits_) {
    begin_event(GALAGO_EVENT_LOGITS, slot->capture_ns);
    std::copy_n(logits, eye_.labels.size(), events()->add_values(eye_.labels.size()));
    events()->publish();
  }
  begin_event(GALAGO_EVENT_LABELS, slot->capture_ns);
  if (smoother_.is_known()) {
    for (size_t i = 0; i < smoother_.num_top(); ++i) {
      const LabelSmoother::Scored& scored = smoother_.top()[i];
      events()->add_class(eye_.labels[scored.label], scored.probability);
    }
  }
  *events()->add_values(1) = smoother_.top()[0].probability;
  events()->publish();
  metrics_->count_image_step(monotonic_ns() - begin_ns, engine_end_ns - engine_begin_ns);
  return true;
}

void EyeStream::begin_event(uint32_t type, int64_t capture_ns) {
  galago_event* event = events()->begin(type);
  event->begin_ns = event->end_ns = capture_ns;
  event->emitted_ns = monotonic_ns();
}

void EyeStream::forget() {
  inbox_.clear();
  smoother_.reset();
}

}  // namespace galago
