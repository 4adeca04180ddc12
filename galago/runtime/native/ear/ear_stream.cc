#include "ear/ear_stream.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/heap_bytes.h"
#include "base/status.h"
#include "ear/log_probs.h"

namespace galago {
namespace {

constexpr uint32_t kDefaultInputCapacityMs = 2000;

// 24 dB over full scale. Louder "samples" are integers that somebody forgot to scale.
constexpr float kMaxAmplitude = 16.0f;

// An utterance ends on time, in the middle of a chunk, if every 10 ms that wait are at most 9 dB
// above the mean of the silence before them, which must be known from 120 ms at least. Of an even
// noise, one such block in a few hundred is 6 dB above the mean; what begins a word is far more.
constexpr int kMinSilentMs = 120;
constexpr size_t kSilenceBlockSamples = 160;
constexpr float kSilentPowerRatio = 8.0f;
constexpr float kInaudiblePower = 1e-9f;  // -90 dBFS, so that digital silence is no yardstick

const OpenedSecondPass* find_second_pass(const OpenedEar& opened,
                                         const galago_session_options& options) {
  const bool one_pass = (options.flags & GALAGO_SESSION_ONE_PASS) != 0;
  return opened.second_pass && !one_pass ? &*opened.second_pass : nullptr;
}

FeatureOptions second_features(const OpenedEar& opened, const galago_session_options& options) {
  const OpenedSecondPass* const second_pass = find_second_pass(opened, options);
  return second_pass != nullptr ? second_pass->network.features : opened.ear.network.features;
}

ListenerOptions listener_options(const OpenedEar& opened, const galago_session_options& options) {
  ListenerOptions listener;
  listener.chunk_tokens = opened.target.chunk_tokens;
  listener.lookahead_tokens = opened.target.lookahead_tokens;
  listener.word_model = opened.word_model;
  listener.endpoint_silence_ms = static_cast<int>(options.endpoint_silence_ms);
  listener.max_utterance_ms = static_cast<int>(options.max_utterance_ms);
  listener.beam = (options.flags & GALAGO_SESSION_BEAM) != 0;
  listener.greedy = (options.flags & GALAGO_SESSION_GREEDY) != 0;
  listener.partials = (options.flags & GALAGO_SESSION_NO_PARTIALS) == 0;
  listener.posteriors = (options.flags & GALAGO_SESSION_POSTERIORS) != 0;
  listener.second_pass = find_second_pass(opened, options);
  return listener;
}

size_t window_samples(const FeatureOptions& features, const EarTarget& target) {
  return static_cast<size_t>((target.chunk_frames - 1) * features.hop_samples +
                             features.window_samples);
}

size_t ring_samples(const FeatureOptions& features, const EarTarget& target,
                    const galago_session_options& options) {
  const size_t capacity_ms =
      options.input_capacity_ms != 0 ? options.input_capacity_ms : kDefaultInputCapacityMs;
  return std::max(capacity_ms * static_cast<size_t>(features.sample_rate_hz) / 1000,
                  2 * window_samples(features, target));
}

float mean_square(const float* samples, size_t num_samples) {
  // Eight sums, so that they fit into one vector register.
  std::array<float, 8> sums{};
  size_t i = 0;
  for (; i + sums.size() <= num_samples; i += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) {
      sums[lane] += samples[i + lane] * samples[i + lane];
    }
  }
  for (; i < num_samples; ++i) sums[0] += samples[i] * samples[i];
  float sum = 0.0f;
  for (const float lane : sums) sum += lane;
  return sum / static_cast<float>(num_samples);
}

// Of the loudest 10 ms: an onset must not drown in the mean of what is quiet around it.
float peak_power(const float* samples, size_t num_samples) {
  float peak = 0.0f;
  for (size_t begin = 0; begin < num_samples; begin += kSilenceBlockSamples) {
    const size_t count = std::min(kSilenceBlockSamples, num_samples - begin);
    peak = std::max(peak, mean_square(samples + begin, count));
  }
  return peak;
}

}  // namespace

EarStream::EarStream(const OpenedEar& opened, const galago_session_options& options,
                     EventQueue* events, SessionMetrics* metrics)
    : RoleStream("ear", events),
      target_(opened.target),
      engine_(opened.engine),
      sample_rate_hz_(opened.ear.sample_rate_hz()),
      second_features_(second_features(opened, options)),
      chunk_samples_(static_cast<size_t>(target_.chunk_tokens * opened.ear.token_samples())),
      token_samples_(static_cast<size_t>(opened.ear.token_samples())),
      num_phones_(opened.ear.phones.size()),
      num_tokens_(opened.ear.tokens.size()),
      chunk_ns_(int64_t{target_.chunk_tokens} * opened.ear.token_ms() * 1'000'000),
      min_silent_tokens_((kMinSilentMs + opened.ear.token_ms() - 1) / opened.ear.token_ms()),
      metrics_(metrics),
      ring_(ring_samples(opened.ear.network.features, target_, options)),
      num_missing_samples_(window_samples(opened.ear.network.features, target_)),
      tracker_(sample_rate_hz_),
      stream_(engine_->open_stream()),
      front_end_(make_front_end(opened.ear.network.features, target_.chunk_frames)),
      clock_(sample_rate_hz_),
      listener_(opened.ear, listener_options(opened, options), events, metrics, &clock_),
      second_front_end_(second_features_ == opened.ear.network.features
                            ? nullptr
                            : make_front_end(second_features_, num_second_frames())),
      second_frames_(
          second_front_end_ == nullptr
              ? 0
              : static_cast<size_t>(num_second_frames() * second_features_.values_per_frame())),
      window_(window_samples(opened.ear.network.features, target_)),
      token_levels_(static_cast<size_t>(target_.chunk_tokens + target_.lookahead_tokens)) {}

EventLimits EarStream::event_limits(const OpenedEar& opened,
                                    const galago_session_options& options) {
  return Listener::event_limits(opened.ear, listener_options(opened, options));
}

void EarStream::describe(galago_session_info* info) const {
  info->input_sample_rate_hz = sample_rate_hz_;
  info->chunk_samples = static_cast<int32_t>(chunk_samples_);
  info->left_context_samples = static_cast<int32_t>(token_samples_) * target_.left_context_tokens;
  info->lookahead_samples = static_cast<int32_t>(token_samples_) * target_.lookahead_tokens;
}

size_t EarStream::num_bytes() const {
  return sizeof(*this) + ring_.num_bytes() + stream_->num_bytes() + front_end_->num_bytes() +
         (second_front_end_ ? second_front_end_->num_bytes() : 0) + listener_.num_bytes() +
         heap_bytes(second_frames_, window_, token_levels_);
}

// -- the capture thread -------------------------------------------------------------------------

galago_status EarStream::push(const float* samples, size_t num_samples, int64_t capture_ns,
                              bool* step_is_ready) noexcept {
  *step_is_ready = false;
  if (has_failed()) {
    set_last_error_real_time("push_audio: the ear has failed; reset the session");
    return GALAGO_E_INVALID_STATE;
  }
  if (num_samples == 0) return GALAGO_OK;
  if (samples == nullptr) {
    set_last_error_real_time("push_audio: samples is NULL");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  if (num_samples > ring_.capacity()) {
    set_last_error_real_time(
        "push_audio: more samples at once than input_capacity_ms has room for: %llu", num_samples);
    return GALAGO_E_INVALID_ARGUMENT;
  }
  if (capture_ns < 0 || capture_ns > kMaxCaptureNs) {
    set_last_error_real_time("push_audio: capture_ns is negative or beyond 2^62");
    return GALAGO_E_INVALID_ARGUMENT;
  }
  size_t num_good = 0;
  for (size_t i = 0; i < num_samples; ++i) num_good += std::fabs(samples[i]) <= kMaxAmplitude;
  if (num_good != num_samples) {
    size_t i = 0;
    while (std::fabs(samples[i]) <= kMaxAmplitude) ++i;
    set_last_error_real_time(std::isfinite(samples[i])
                                 ? "push_audio: sample %llu is far outside [-1, 1]: not scaled?"
                                 : "push_audio: sample %llu is not finite",
                             i);
    return GALAGO_E_INVALID_ARGUMENT;
  }

  CaptureMark mark;
  const bool needs_mark = tracker_.needs_mark(capture_ns, &mark);
  if (!ring_.write(samples, num_samples, needs_mark ? &mark : nullptr)) {
    metrics_->count_refused(num_samples);
    set_last_error_real_time("push_audio: no room for %llu samples", num_samples);
    return GALAGO_E_FULL;
  }
  tracker_.advance(capture_ns, num_samples, needs_mark ? &mark : nullptr);
  metrics_->count_input(num_samples);
  // A read that writes: of this one and advance's exchange, the second sees what the first one's
  // thread did before it, so that samples which nobody has compared yet wake somebody.
  const size_t num_missing = num_missing_samples_.fetch_add(0, std::memory_order_acq_rel);
  *step_is_ready = mark.is_gap || ring_.size() >= num_missing;
  return GALAGO_OK;
}

// -- the stepping thread ------------------------------------------------------------------------

bool EarStream::is_ready() const {
  const CaptureMark* mark = ring_.front_mark();
  return ring_.size() >= needed_samples() || (mark != nullptr && mark->is_gap);
}

bool EarStream::advance(bool has_ended) {
  for (;;) {
    const bool stepped = advance_stream(has_ended);
    const size_t num_needed = needed_samples();
    num_missing_samples_.exchange(num_needed, std::memory_order_acq_rel);
    // What came meanwhile was compared with what was missing before: push did not tell that a
    // step is ready, so it is looked at again.
    if (stepped || is_finished_ || ring_.size() < num_needed) return stepped;
  }
}

bool EarStream::advance_stream(bool has_ended) {
  for (;;) {
    // In this order: samples before marks of samples.
    size_t num_reachable = ring_.size();
    if (const CaptureMark* mark = ring_.front_mark()) {
      const size_t num_before = static_cast<size_t>(mark->sample - ring_.position());
      if (num_before == 0) {
        if (!in_stream_) {
          begin_stream(*mark);
        } else if (!mark->is_gap) {
          clock_.add_anchor(static_cast<int64_t>(stream_samples_), mark->capture_ns);
        } else {
          if (run_padded_chunk()) return true;
          finish_listening();
          if (has_failed()) return true;
          galago_event* event = events()->begin(GALAGO_EVENT_GAP);
          event->begin_ns = mark->gap_begin_ns;
          event->end_ns = mark->capture_ns;
          event->emitted_ns = monotonic_ns();
          events()->publish();
          metrics_->count_gap();
          begin_stream(*mark);
          ring_.drop_mark();
          return true;
        }
        ring_.drop_mark();
        continue;
      }
      num_reachable = std::min(num_reachable, num_before);
    }
    const size_t num_until_end = samples_until_silent_end();
    const size_t num_taken = std::min(num_reachable, needed_samples());
    ring_.read(window_.data() + num_filled_, num_taken);
    num_filled_ += num_taken;
    stream_samples_ += num_taken;
    if (num_taken > 0 && num_taken == num_until_end && (end_in_silence() || has_failed())) {
      return true;
    }
    if (missing_samples() == 0) {
      run_chunk();
      return true;
    }
    if (num_taken > 0) continue;
    if (!has_ended || is_finished_) return false;
    if (in_stream_) {
      if (run_padded_chunk()) return true;
      finish_listening();
    }
    const bool had_stream = in_stream_;
    in_stream_ = false;
    is_finished_ = true;
    return had_stream;
  }
}

size_t EarStream::samples_until_silent_end() const {
  const int64_t deadline_token = listener_.silence_deadline();
  if (deadline_token < 0 || listener_.num_silent_rows() < min_silent_tokens_) return 0;
  const int64_t deadline_sample = deadline_token * static_cast<int64_t>(token_samples_);
  const int64_t num_left = deadline_sample - static_cast<int64_t>(stream_samples_);
  if (num_left <= 0 || deadline_sample == refused_deadline_sample_) return 0;
  return static_cast<size_t>(num_left);
}

size_t EarStream::needed_samples() const {
  const size_t num_until_end = samples_until_silent_end();
  return num_until_end > 0 ? std::min(num_until_end, missing_samples()) : missing_samples();
}

bool EarStream::is_silent_so_far() const {
  // The rows tell that these tokens were silent. Of the lookahead's tokens, the last that were
  // stepped, there is no row yet: they are judged by their level, as the samples that wait are.
  const auto judged_end = token_levels_.end() - target_.lookahead_tokens;
  const int64_t num_judged =
      std::min<int64_t>(listener_.num_silent_rows(), judged_end - token_levels_.begin());
  float silent_power = 0.0f;
  for (auto level = judged_end - num_judged; level != judged_end; ++level) {
    silent_power += level->mean_power;
  }
  const float limit =
      kSilentPowerRatio * silent_power / static_cast<float>(num_judged) + kInaudiblePower;
  return std::all_of(judged_end, token_levels_.end(),
                     [limit](const TokenLevel& level) { return level.peak_power <= limit; }) &&
         peak_power(window_.data(), num_filled_) <= limit;
}

bool EarStream::end_in_silence() {
  const int64_t begin_ns = monotonic_ns();
  bool has_ended = is_silent_so_far();
  if (has_ended) {
    listener_.end_in_silence();
  } else {
    // Of the samples that wait, those frames that are whole; the next step computes them again.
    const int num_context_samples = second_features_.window_samples - second_features_.hop_samples;
    const int num_whole_samples = std::max(static_cast<int>(num_filled_) - num_context_samples, 0);
    const int num_frames =
        std::min(num_whole_samples / second_features_.hop_samples, num_second_frames());
    FrontEnd& front_end = second_front_end_ ? *second_front_end_ : *front_end_;
    float* const frames =
        second_front_end_ ? second_frames_.data() : stream_->input(EarTarget::kFeatures);
    front_end.compute(window_.data(), num_frames, frames);
    has_ended = listener_.end_at_second_sight(frames, num_frames);
  }
  if (!has_ended) refused_deadline_sample_ = static_cast<int64_t>(stream_samples_);
  count_listening(begin_ns);
  return has_ended;
}

void EarStream::finish_listening() {
  const int64_t begin_ns = monotonic_ns();
  listener_.finish();
  count_listening(begin_ns);
}

void EarStream::count_listening(int64_t begin_ns) {
  metrics_->count_work(monotonic_ns() - begin_ns, listener_.take_engine_ns());
  if (listener_.failure() != nullptr) fail_stream(GALAGO_E_BACKEND, listener_.failure(), now_ns());
}

void EarStream::begin_stream(const CaptureMark& mark) {
  in_stream_ = true;
  num_filled_ = 0;
  stream_samples_ = 0;
  num_chunks_ = 0;
  refused_deadline_sample_ = -1;
  clock_.restart(mark.capture_ns);
  listener_.restart();
}

bool EarStream::run_padded_chunk() {
  const int64_t num_tokens =
      static_cast<int64_t>((stream_samples_ + token_samples_ - 1) / token_samples_);
  if (stream_samples_ == 0 ||
      num_chunks_ * target_.chunk_tokens >= num_tokens + target_.lookahead_tokens) {
    return false;
  }
  std::fill(window_.begin() + static_cast<ptrdiff_t>(num_filled_), window_.end(), 0.0f);
  run_chunk();
  return true;
}

void EarStream::run_chunk() {
  const int64_t begin_ns = monotonic_ns();
  front_end_->compute(window_.data(), target_.chunk_frames, stream_->input(EarTarget::kFeatures));
  // 1: go on. 0: forget all states first (the stream begins, or begins anew).
  *stream_->input(EarTarget::kKeep) = num_chunks_ == 0 ? 0.0f : 1.0f;
  const int64_t engine_begin_ns = monotonic_ns();
  const char* failure = stream_->run();
  int64_t engine_ns = monotonic_ns() - engine_begin_ns;

  const size_t num_rows = static_cast<size_t>(target_.chunk_tokens);
  if (failure == nullptr) {
    failure = find_bad_log_probs(*stream_, target_.chunk_tokens, num_phones_, num_tokens_);
  }
  if (failure != nullptr) return fail_stream(GALAGO_E_BACKEND, failure, now_ns());
  const float* phone_log_probs = stream_->output(EarTarget::kPhoneLogProbs);
  const float* token_log_probs = stream_->output(EarTarget::kTokenLogProbs);
  if (second_front_end_) {
    second_front_end_->compute(window_.data(), num_second_frames(), second_frames_.data());
    listener_.hear(second_frames_.data(), num_second_frames());
  } else {
    listener_.hear(stream_->input(EarTarget::kFeatures), target_.chunk_frames);
  }

  // Rows of the first lookahead_tokens tell of the time before the stream.
  const int64_t first_row = num_chunks_ * target_.chunk_tokens;
  const size_t num_skipped = static_cast<size_t>(
      std::clamp<int64_t>(target_.lookahead_tokens - first_row, 0, target_.chunk_tokens));
  if (num_skipped < num_rows) {
    listener_.advance(phone_log_probs + num_skipped * num_phones_,
                      token_log_probs + num_skipped * num_tokens_,
                      static_cast<int>(num_rows - num_skipped));
    engine_ns += listener_.take_engine_ns();
    if (listener_.failure() != nullptr)
      return fail_stream(GALAGO_E_BACKEND, listener_.failure(), now_ns());
  }
  ++num_chunks_;
  std::move(token_levels_.begin() + target_.chunk_tokens, token_levels_.end(),
            token_levels_.begin());
  for (size_t i = 0; i < num_rows; ++i) {
    const float* token = window_.data() + i * token_samples_;
    token_levels_[token_levels_.size() - num_rows + i] = {mean_square(token, token_samples_),
                                                          peak_power(token, token_samples_)};
  }
  num_filled_ = window_.size() - chunk_samples_;
  std::memmove(window_.data(), window_.data() + chunk_samples_, num_filled_ * sizeof(float));
  metrics_->count_step(monotonic_ns() - begin_ns, engine_ns, chunk_ns_);
}

void EarStream::forget() {
  ring_.clear();
  tracker_.reset();
  listener_.reset();
  in_stream_ = false;
  is_finished_ = false;
  num_filled_ = 0;
  stream_samples_ = 0;
  num_chunks_ = 0;
  num_missing_samples_.store(window_.size(), std::memory_order_relaxed);
}

}  // namespace galago
