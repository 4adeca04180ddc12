#include "session.h"

#include <algorithm>
#include <exception>

#include "status.h"

namespace galago {
namespace {

constexpr uint32_t kKnownFlags = GALAGO_SESSION_WORKER | GALAGO_SESSION_NO_PARTIALS |
                                 GALAGO_SESSION_POSTERIORS | GALAGO_SESSION_BEAM;
constexpr uint32_t kMaxInputCapacityMs = 600'000;
constexpr uint32_t kDefaultEventCapacity = 64;
constexpr uint32_t kMaxEventCapacity = 65536;
constexpr uint32_t kMinUtteranceMs = 1000;
constexpr uint32_t kMaxUtteranceMs = 300'000;
constexpr uint32_t kMaxEndpointSilenceMs = 60'000;

const galago_session_options& checked(const galago_session_options& options) {
  const auto check = [](const char* name, uint32_t value, uint32_t low, uint32_t high) {
    if (value != 0 && (value < low || value > high)) {
      fail(GALAGO_E_INVALID_ARGUMENT, "%s is %u; it may be 0 or %u to %u", name, value, low, high);
    }
  };
  if ((options.flags & ~kKnownFlags) != 0) {
    fail(GALAGO_E_INVALID_ARGUMENT, "flags holds bits this library does not know: 0x%x",
         options.flags & ~kKnownFlags);
  }
  check("input_capacity_ms", options.input_capacity_ms, 1, kMaxInputCapacityMs);
  check("event_capacity", options.event_capacity, 2, kMaxEventCapacity);
  check("endpoint_silence_ms", options.endpoint_silence_ms, 1, kMaxEndpointSilenceMs);
  check("max_utterance_ms", options.max_utterance_ms, kMinUtteranceMs, kMaxUtteranceMs);
  return options;
}

EventLimits event_limits(const OpenedEar* ear, const OpenedEye* eye,
                         const galago_session_options& options) {
  if (ear == nullptr) return EyeStream::event_limits(*eye, options);
  EventLimits limits = EarStream::event_limits(*ear, options);
  if (eye != nullptr) {
    const EventLimits other = EyeStream::event_limits(*eye, options);
    limits.text_bytes = std::max(limits.text_bytes, other.text_bytes);
    limits.num_words = std::max(limits.num_words, other.num_words);
    limits.num_labels = std::max(limits.num_labels, other.num_labels);
    limits.num_values = std::max(limits.num_values, other.num_values);
  }
  return limits;
}

}  // namespace

Session::Session(const OpenedEar* ear, const OpenedEye* eye, const galago_session_options& options)
    : flags_(checked(options).flags),
      events_(options.event_capacity != 0 ? options.event_capacity : kDefaultEventCapacity,
              event_limits(ear, eye, options)) {
  // In the order of their turn: what was said does not wait for what was seen.
  size_t num_bytes = sizeof(*this) + events_.num_bytes();
  if (ear != nullptr) {
    ear_ = std::make_unique<EarStream>(*ear, options, &events_, &metrics_);
    num_bytes += ear_->num_bytes();
    roles_.push_back(ear_.get());
  }
  if (eye != nullptr) {
    eye_ = std::make_unique<EyeStream>(*eye, options, &events_, &metrics_);
    num_bytes += eye_->num_bytes();
    roles_.push_back(eye_.get());
  }
  metrics_.set_peak_bytes(num_bytes);
  if ((flags_ & GALAGO_SESSION_WORKER) != 0) worker_ = std::thread([this] { work(); });
}

Session::~Session() {
  if (!worker_.joinable()) return;
  stop_worker_.store(true, std::memory_order_seq_cst);
  waker_.signal();
  worker_.join();
}

galago_session_info Session::info() const {
  galago_session_info info = GALAGO_SESSION_INFO_INIT;
  if (ear_) ear_->describe(&info);
  if (eye_) eye_->describe(&info);
  return info;
}

// -- the capture threads ------------------------------------------------------------------------

galago_status Session::push_audio(const float* samples, size_t num_samples,
                                  int64_t capture_ns) noexcept {
  if (!ear_) {
    set_last_error_real_time("push_audio: the bundle has no role \"ear\"");
    return GALAGO_E_UNSUPPORTED;
  }
  if (end_requested_.load(std::memory_order_relaxed)) {
    set_last_error_real_time("push_audio: after end_input; reset the session to begin anew");
    return GALAGO_E_INVALID_STATE;
  }
  bool step_is_ready = false;
  const galago_status status = ear_->push(samples, num_samples, capture_ns, &step_is_ready);
  if (status != GALAGO_OK) return status;
  waker_.signal();
  if (step_is_ready && !has_worker()) waker_.call_wake();
  return GALAGO_OK;
}

galago_status Session::push_image(const galago_image& image) noexcept {
  if (!eye_) {
    set_last_error_real_time("push_image: the bundle has no role \"eye\"");
    return GALAGO_E_UNSUPPORTED;
  }
  if (end_requested_.load(std::memory_order_relaxed)) {
    set_last_error_real_time("push_image: after end_input; reset the session to begin anew");
    return GALAGO_E_INVALID_STATE;
  }
  const galago_status status = eye_->push(image);
  if (status != GALAGO_OK) return status;
  waker_.signal();
  if (!has_worker()) waker_.call_wake();
  return GALAGO_OK;
}

galago_status Session::end_input() noexcept {
  // Release: who sees the end sees all input before it.
  end_requested_.store(true, std::memory_order_release);
  waker_.signal();
  if (!has_worker()) waker_.call_wake();
  return GALAGO_OK;
}

// -- the stepping thread ------------------------------------------------------------------------

galago_status Session::advance() {
  if (is_over_.load(std::memory_order_relaxed)) return GALAGO_EMPTY;
  // In this order: input before its end.
  const bool has_ended = end_requested_.load(std::memory_order_acquire);
  for (RoleStream* role : roles_) {
    if (role->has_failed()) continue;
    const galago_status status = role->step(has_ended);
    if (status != GALAGO_EMPTY) return status;
  }
  if (has_ended) {
    is_over_.store(true, std::memory_order_release);
    waker_.signal();
    waker_.call_wake();
  }
  return GALAGO_EMPTY;
}

bool Session::has_failed() const {
  return std::all_of(roles_.begin(), roles_.end(),
                     [](const RoleStream* role) { return role->has_failed(); });
}

galago_status Session::step() {
  if (has_worker()) fail(GALAGO_E_INVALID_STATE, "step: this session's worker does it");
  std::lock_guard<std::mutex> lock(step_mutex_);
  if (has_failed()) {
    fail(GALAGO_E_INVALID_STATE, "step: the session has failed; reset it");
  }
  const galago_status status = advance();
  if (status == GALAGO_OK && !events_.is_empty()) waker_.call_wake();
  return status;
}

void Session::work() {
  while (!stop_worker_.load(std::memory_order_seq_cst)) {
    const uint32_t seen = waker_.count();
    galago_status status = GALAGO_EMPTY;
    if (!has_failed()) {
      std::lock_guard<std::mutex> lock(step_mutex_);
      status = advance();
    }
    if (status != GALAGO_EMPTY) {
      // For the control thread; it costs this thread one more round.
      waker_.signal();
      if (!events_.is_empty()) waker_.call_wake();
    } else {
      waker_.wait(seen, -1);
    }
  }
}

// -- the control thread -------------------------------------------------------------------------

galago_status Session::next_event(galago_event* event) {
  return events_.take(event) ? GALAGO_OK : GALAGO_EMPTY;
}

bool Session::step_is_ready() const {
  // The last step is the one that sees that there is nothing more.
  if (end_requested_.load(std::memory_order_acquire)) return !is_over_.load();
  return std::any_of(roles_.begin(), roles_.end(), [](const RoleStream* role) {
    return !role->has_failed() && role->is_ready();
  });
}

galago_status Session::wait(int32_t timeout_ms) {
  const int64_t deadline_ns = monotonic_ns() + int64_t{timeout_ms} * 1'000'000;
  for (;;) {
    const uint32_t seen = waker_.count();
    // In this order: the last events come before the end.
    const bool is_over = is_over_.load(std::memory_order_acquire) || has_failed();
    if (!events_.is_empty()) return GALAGO_OK;
    if (is_over) return GALAGO_EMPTY;
    if (!has_worker() && step_is_ready()) return GALAGO_OK;
    const int64_t left_ns =
        timeout_ms < 0 ? -1 : std::max<int64_t>(deadline_ns - monotonic_ns(), 0);
    if (!waker_.wait(seen, left_ns)) return GALAGO_TIMEOUT;
  }
}

void Session::set_wake(galago_wake_fn wake, void* user_data) { waker_.set_wake(wake, user_data); }

void Session::reset() {
  std::lock_guard<std::mutex> lock(step_mutex_);
  events_.clear();
  metrics_.reset();
  end_requested_.store(false, std::memory_order_relaxed);
  is_over_.store(false, std::memory_order_relaxed);
  for (RoleStream* role : roles_) role->reset();
}

Listener& Session::listener(const char* call) {
  if (!ear_) fail(GALAGO_E_UNSUPPORTED, "%s: the bundle has no role \"ear\"", call);
  return ear_->listener();
}

void Session::set_grammar(const void* bytes, size_t num_bytes) {
  Listener& listener = this->listener("set_grammar");
  std::unique_ptr<GrammarDecoder> grammar = listener.make_grammar(bytes, num_bytes);
  std::lock_guard<std::mutex> lock(step_mutex_);
  grammar = listener.set_grammar(std::move(grammar));
}

void Session::set_phrases(const void* bytes, size_t num_bytes) {
  Listener& listener = this->listener("set_phrases");
  std::unique_ptr<PhraseSpotter> phrases = listener.make_phrases(bytes, num_bytes);
  std::lock_guard<std::mutex> lock(step_mutex_);
  phrases = listener.set_phrases(std::move(phrases));
}

void Session::set_hotwords(const std::vector<Hotword>& hotwords) {
  Listener& listener = this->listener("set_hotwords");
  std::shared_ptr<const HotwordGraph> graph = listener.make_hotwords(hotwords);
  std::lock_guard<std::mutex> lock(step_mutex_);
  listener.set_hotwords(std::move(graph));
}

}  // namespace galago
