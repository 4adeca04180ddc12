#include "ear/listener.h"

#include <algorithm>
#include <cstring>

#include "base/heap_bytes.h"
#include "base/sha256.h"
#include "base/status.h"

namespace galago {
namespace {

// Room for the silence that padding and rounding add around an utterance.
constexpr int kSpareTokens = 64;
constexpr size_t kSlotTextBytes = 4096;
// Whoever speaks again after so short a pause goes on with what was said.
constexpr int kMostPauseMs = 2000;

VoiceActivityOptions voice_options(const Ear& ear) {
  VoiceActivityOptions options;
  options.token_ms = ear.token_ms();
  options.start_probability = ear.voice_start_probability;
  options.stop_probability = ear.voice_stop_probability;
  options.start_ms = ear.voice_start_ms;
  options.stop_ms = ear.voice_stop_ms;
  options.padding_ms = ear.voice_padding_ms;
  return options;
}

EndpointOptions endpoint_options(const Ear& ear, const ListenerOptions& options) {
  EndpointOptions endpoint;
  endpoint.token_ms = ear.token_ms();
  endpoint.silence_ms =
      options.endpoint_silence_ms != 0 ? options.endpoint_silence_ms : ear.endpoint_silence_ms;
  endpoint.max_utterance_ms =
      options.max_utterance_ms != 0 ? options.max_utterance_ms : ear.max_utterance_ms;
  endpoint.padding_ms = ear.voice_padding_ms;
  return endpoint;
}

int max_tokens(const Ear& ear, const ListenerOptions& options) {
  return endpoint_options(ear, options).max_utterance_ms / ear.token_ms() + kSpareTokens;
}

// The encoder's rows that are before an utterance's end, with what its first chunk hears before it.
int max_encoder_rows(const Ear& ear, const ListenerOptions& options) {
  if (options.second_pass == nullptr) return 0;
  const EarTarget& target = options.second_pass->target;
  const int num_tokens =
      max_tokens(ear, options) + SecondPass::kContextTokens + SecondPass::kMostJoinedTokens;
  return num_tokens * target.chunk_rows / target.chunk_tokens;
}

DecodingOptions decoding_options(const Ear& ear, const ListenerOptions& options) {
  DecodingOptions decoding;
  decoding.max_tokens = max_tokens(ear, options);
  decoding.greedy = options.greedy;
  decoding.beam = options.beam;
  decoding.word_model = options.word_model;
  if (options.second_pass != nullptr) {
    const EarTarget& target = options.second_pass->target;
    decoding.decoder = options.second_pass->decoder;
    decoding.max_joined_tokens = SecondPass::kMostJoinedTokens;
    decoding.rows_per_token = static_cast<double>(target.chunk_rows) / target.chunk_tokens;
  }
  decoding.max_encoder_rows = max_encoder_rows(ear, options);
  return decoding;
}

Sha256Digest phones_digest(const Ear& ear) {
  std::string joined;
  for (size_t i = 0; i < ear.phones.size(); ++i) joined += (i == 0 ? "" : "\n") + ear.phones[i];
  return sha256(joined.data(), joined.size());
}

}  // namespace

EventLimits Listener::event_limits(const Ear& ear, const ListenerOptions& options) {
  const size_t num_rows = static_cast<size_t>(max_tokens(ear, options));
  // A row puts out one token; a grammar's words are spelled, where four letters a row are plenty.
  size_t token_bytes = 4;
  for (const std::string& token : ear.tokens) token_bytes = std::max(token_bytes, token.size());
  EventLimits limits;
  limits.text_bytes = 2 * num_rows * token_bytes + kSlotTextBytes;  // the text, and word by word
  limits.num_words = num_rows + 1;
  limits.num_labels = GrammarDecoder::kMaxSlots;
  limits.num_values = 1;
  if (options.posteriors) {
    limits.num_values =
        static_cast<size_t>(options.chunk_tokens) * (ear.phones.size() + ear.tokens.size());
  }
  return limits;
}

Listener::Listener(const Ear& ear, const ListenerOptions& options, EventQueue* events,
                   SessionMetrics* metrics, const StreamClock* clock)
    : ear_(ear),
      options_(options),
      final_phone_log_priors_(options.second_pass != nullptr
                                  ? options.second_pass->network.phone_log_priors
                                  : ear.network.phone_log_priors),
      token_samples_(ear.token_samples()),
      num_phones_(ear.phones.size()),
      num_tokens_(ear.tokens.size()),
      events_(events),
      metrics_(metrics),
      clock_(clock),
      voice_(voice_options(ear)),
      endpoint_(endpoint_options(ear, options)),
      final_(ear, decoding_options(ear, options)),
      history_rows_(static_cast<size_t>(endpoint_.max_preroll_tokens(voice_))),
      joined_text_(event_limits(ear, options).text_bytes),
      last_partial_(event_limits(ear, options).text_bytes) {
  reserve_written(event_limits(ear, options).num_words, &joined_words_);
  if (options.second_pass != nullptr) {
    const EarTarget& target = options.second_pass->target;
    if (ear.grammar_second_pass_share < 1.0f) {
      mixed_phones_.resize(static_cast<size_t>(target.chunk_tokens) * num_phones_);
      mixed_tokens_.resize(static_cast<size_t>(target.chunk_tokens) * num_tokens_);
    }
    // What the draft hears again are the rows since the last chunk of the second pass.
    history_rows_ =
        std::max(history_rows_, static_cast<size_t>(target.chunk_tokens + target.lookahead_tokens));
    const int max_backtrack_tokens =
        endpoint_.max_preroll_tokens(voice_) + options.chunk_tokens + options.lookahead_tokens;
    second_pass_.emplace(ear, *options.second_pass, options.chunk_tokens, max_backtrack_tokens,
                         max_tokens(ear, options));
    if (options.partials) {
      DecodingOptions draft = decoding_options(ear, options);
      draft.is_draft = true;
      draft_.emplace(ear, draft);
    }
  }
  const size_t most_rows = history_rows_ + static_cast<size_t>(options.chunk_tokens);
  phone_history_.resize(most_rows * num_phones_);
  token_history_.resize(most_rows * num_tokens_);
  reset();
}

void Listener::reset() {
  utterance_ = 0;
  restart();
}

void Listener::restart() {
  voice_.reset(0);
  endpoint_.reset(0);
  if (phrases_) phrases_->reset(0);
  if (second_pass_) second_pass_->restart();
  history_begin_ = history_end_ = last_end_ = 0;
  final_.reset(0);
}

void Listener::hear(const float* frames, int num_frames) {
  if (second_pass_) second_pass_->hear(frames, num_frames);
}

void Listener::advance(const float* phone_log_probs, const float* token_log_probs, int num_rows) {
  if (options_.posteriors) emit_posteriors(phone_log_probs, token_log_probs, num_rows);
  remember(phone_log_probs, token_log_probs, num_rows);
  if (phrases_) {
    phrases_->advance(phone_log_probs, num_rows, static_cast<int>(num_phones_));
    emit_phrases();
  }
  for (int64_t token = history_end_ - num_rows; token < history_end_; ++token) {
    const float* phones =
        phone_history_.data() + static_cast<size_t>(token - history_begin_) * num_phones_;
    const VoiceChange voice_change = voice_.advance(VoiceActivity::speech_probability(phones[0]));
    const UtteranceChange change = endpoint_.advance(voice_);
    if (change == UtteranceChange::kBegin) begin_utterance();
    if (voice_change == VoiceChange::kStart) emit_voice_start();
    if (voice_change == VoiceChange::kStop) emit_voice_stop();
    if (change == UtteranceChange::kEnd) end_utterance();
  }
  if (endpoint_.in_utterance()) {
    if (second_pass_) decode_again_until(history_end_, false);
    decode_until(history_end_);
    final_.settle();  // without partials too: finals are the same
    if (options_.partials) emit_partial();
  }
}

void Listener::finish() {
  if (phrases_) {
    phrases_->finish();
    emit_phrases();
  }
  const bool voice_was_active = voice_.active();
  const UtteranceChange change = endpoint_.finish();
  if (voice_was_active) emit_voice_stop();
  if (change == UtteranceChange::kEnd) end_utterance();
}

void Listener::end_in_silence() {
  if (endpoint_.finish_in_silence(voice_) == UtteranceChange::kEnd) end_utterance();
}

bool Listener::end_at_second_sight(const float* frames, int num_frames) {
  if (!second_pass_ || !second_pass_->look_ahead(frames, num_frames)) return false;
  VoiceActivity ahead = voice_;
  const int64_t end = std::min(silence_deadline(), second_pass_->end_token());
  for (int64_t token = std::max(history_end_, second_pass_->begin_token()); token < end; ++token) {
    ahead.advance(VoiceActivity::speech_probability(second_pass_->phone_log_probs(token)[0]));
  }
  if (ahead.active() || ahead.rising()) return false;
  end_in_silence();
  return true;
}

void Listener::remember(const float* phone_log_probs, const float* token_log_probs, int num_rows) {
  const size_t num_held = static_cast<size_t>(history_end_ - history_begin_);
  const size_t num_kept = std::min(num_held, history_rows_);
  const size_t num_dropped = num_held - num_kept;
  if (num_dropped > 0) {
    std::memmove(phone_history_.data(), phone_history_.data() + num_dropped * num_phones_,
                 num_kept * num_phones_ * sizeof(float));
    std::memmove(token_history_.data(), token_history_.data() + num_dropped * num_tokens_,
                 num_kept * num_tokens_ * sizeof(float));
    history_begin_ += static_cast<int64_t>(num_dropped);
  }
  const size_t num_new = static_cast<size_t>(num_rows);
  std::memcpy(phone_history_.data() + num_kept * num_phones_, phone_log_probs,
              num_new * num_phones_ * sizeof(float));
  std::memcpy(token_history_.data() + num_kept * num_tokens_, token_log_probs,
              num_new * num_tokens_ * sizeof(float));
  history_end_ += num_rows;
}

void Listener::begin_utterance() {
  if (has_next_grammar_) {
    // Swapped, not freed: freeing is for the control thread, at the next set_grammar.
    swap_grammar(&next_grammar_);
    has_next_grammar_ = false;
  }
  ++utterance_;
  decoded_end_ = std::max(endpoint_.begin_token(), history_begin_);
  // A voice that outlasts its utterance began in the one before.
  voice_begin_token_ = std::max(voice_.begin_token(), endpoint_.begin_token());
  if (second_pass_) {
    begin_second_pass();
  } else {
    final_.reset(decoded_end_);
  }
  last_partial_bytes_ = 0;
  has_partial_ = false;
}

void Listener::begin_second_pass() {
  const int64_t token = decoded_end_;
  if (final_.can_go_on() && token - last_end_ <= kMostPauseMs / ear_.token_ms() &&
      second_pass_->can_go_on(token)) {
    second_pass_->go_on(token);
    final_.go_on(token, second_pass_->num_rows_before(token),
                 second_pass_->num_rows_before(token - SecondPass::kContextTokens));
  } else {
    second_pass_->begin(token, last_end_);
    final_.reset(token, second_pass_->num_rows_before(token));
  }
  decoded_again_end_ = final_begin_ = token;
  if (draft_) draft_->reset(token);
}

void Listener::decode_until(int64_t end_token) {
  const int num_rows = static_cast<int>(end_token - decoded_end_);
  if (num_rows <= 0) return;
  const size_t offset = static_cast<size_t>(decoded_end_ - history_begin_);
  UtteranceDecoder* const decoder = second_pass_ ? (draft_ ? &*draft_ : nullptr) : &final_;
  if (decoder != nullptr) {
    decoder->advance(phone_history_.data() + offset * num_phones_,
                     token_history_.data() + offset * num_tokens_, num_rows);
  }
  decoded_end_ = end_token;
}

void Listener::decode_again_until(int64_t end_token, bool is_over) {
  bool has_new_rows = false;
  while (decoded_again_end_ < end_token && second_pass_->advance(end_token, is_over)) {
    const int64_t begin = std::max(second_pass_->begin_token(), decoded_again_end_);
    const int64_t end = std::min(second_pass_->end_token(), end_token);
    if (final_.is_written()) {
      final_.advance_rows(second_pass_->rows(), second_pass_->num_rows(end));
    }
    if (begin >= end) continue;
    final_.advance_text(second_pass_->phone_log_probs(begin), second_pass_->token_log_probs(begin),
                        static_cast<int>(end - begin));
    if (final_.has_grammar()) hear_grammar(begin, end);
    decoded_again_end_ = end;
    has_new_rows = true;
  }
  if (has_new_rows && final_.is_written()) {
    if (!is_over) final_.write_so_far();  // without partials too: finals are the same
  } else if (has_new_rows && draft_ && !is_over) {
    draft_->assign(final_);
    decoded_end_ = decoded_again_end_;
  }
}

void Listener::hear_grammar(int64_t begin, int64_t end) {
  const float share = ear_.grammar_second_pass_share;
  const auto mixed = [&](const float* second, const std::vector<float>& history, size_t width,
                         std::vector<float>* into) -> const float* {
    if (share == 1.0f) return second;
    for (int64_t token = begin; token < end; ++token) {
      float* const row = into->data() + static_cast<size_t>(token - begin) * width;
      std::copy_n(second + static_cast<size_t>(token - begin) * width, width, row);
      if (token < history_begin_ || token >= history_end_) continue;
      const float* const first =
          history.data() + static_cast<size_t>(token - history_begin_) * width;
      for (size_t i = 0; i < width; ++i) row[i] = share * row[i] + (1.0f - share) * first[i];
    }
    return into->data();
  };
  const float* const phones =
      mixed(second_pass_->phone_log_probs(begin), phone_history_, num_phones_, &mixed_phones_);
  const float* const tokens =
      mixed(second_pass_->token_log_probs(begin), token_history_, num_tokens_, &mixed_tokens_);
  final_.advance_grammar(phones, tokens, static_cast<int>(end - begin));
}

void Listener::end_utterance() {
  last_end_ = endpoint_.end_token();
  if (second_pass_) {
    decode_again_until(endpoint_.end_token(), true);
    second_pass_->end();
    if (second_pass_->failure() != nullptr) return;  // half an utterance is no answer
  } else {
    decode_until(std::min(endpoint_.end_token(), history_end_));
  }
  const GrammarResult* const result = final_.finish();
  if (result == nullptr) {
    const UtteranceDecoder::Heard heard = final_.heard_openly();
    if (heard.num_words == 0) return;
    emit_final(heard);
    return;
  }
  if (!result->accepted) {
    // The silence after an utterance that was cut at its greatest length is nothing to reject.
    if (voice_end_token() == voice_begin_token_) return;
    galago_event* event = begin_text_event(GALAGO_EVENT_REJECTED, final_.heard_openly());
    *events_->add_values(1) = result->confidence;
    publish(event);
    return;
  }
  emit_final(final_.heard());
  emit_intent(*result);
}

void Listener::emit_final(const UtteranceDecoder::Heard& heard) {
  galago_event* event = begin_text_event(GALAGO_EVENT_FINAL, heard);
  event->stable_bytes = static_cast<uint32_t>(std::strlen(event->text));
  publish(event);
  metrics_->set_final_latency_ns(event->emitted_ns - event->end_ns);
}

void Listener::emit_intent(const GrammarResult& result) {
  galago_event* event = events_->begin(GALAGO_EVENT_INTENT);
  event->utterance = utterance_;
  event->begin_ns = time_ns(voice_begin_token_);
  event->end_ns = time_ns(voice_end_token());
  events_->set_text(result.intent);
  for (size_t i = 0; i < result.num_slots; ++i) {
    const GrammarSlot& slot = result.slots[i];
    events_->add_label(slot.name, slot.value, slot.score);
  }
  add_words(final_.heard());
  *events_->add_values(1) = result.confidence;
  publish(event);
}

void Listener::add_words(const UtteranceDecoder::Heard& heard) {
  for (size_t i = 0; i < heard.num_words; ++i) {
    const DecodedWord& word = heard.words[i];
    events_->add_word(heard.text.substr(word.text_begin, word.text_bytes),
                      time_ns(word.begin_token), time_ns(word.end_token), word.confidence);
  }
}

galago_event* Listener::begin_text_event(uint32_t type, const UtteranceDecoder::Heard& heard) {
  galago_event* event = events_->begin(type);
  event->utterance = utterance_;
  event->begin_ns = time_ns(voice_begin_token_);
  event->end_ns = time_ns(voice_end_token());
  events_->set_text(heard.text);
  add_words(heard);
  return event;
}

void Listener::publish(galago_event* event) {
  event->emitted_ns = monotonic_ns();
  events_->publish();
}

UtteranceDecoder::Heard Listener::written_so_far() {
  const UtteranceDecoder::Heard written = final_.heard();
  if (!draft_) return written;
  const UtteranceDecoder::Heard draft = draft_->heard();
  joined_words_.assign(written.words, written.words + written.num_words);
  std::copy(written.text.begin(), written.text.end(), joined_text_.begin());
  size_t num_bytes = written.text.size();
  const int64_t written_end =
      written.num_words == 0 ? decoded_again_end_ : written.words[written.num_words - 1].end_token;
  for (size_t i = 0; i < draft.num_words; ++i) {
    DecodedWord word = draft.words[i];
    if (decoded_again_end_ > final_begin_ && word.begin_token < written_end) continue;
    if (num_bytes + word.text_bytes + 1 > joined_text_.size() ||
        joined_words_.size() == joined_words_.capacity()) {
      break;
    }
    if (num_bytes > 0) joined_text_[num_bytes++] = ' ';
    const std::string_view spelled = draft.text.substr(word.text_begin, word.text_bytes);
    std::copy(spelled.begin(), spelled.end(),
              joined_text_.begin() + static_cast<std::ptrdiff_t>(num_bytes));
    word.text_begin = static_cast<uint32_t>(num_bytes);
    num_bytes += word.text_bytes;
    joined_words_.push_back(word);
  }
  return {{joined_text_.data(), num_bytes},
          written.stable_bytes,
          joined_words_.data(),
          joined_words_.size()};
}

UtteranceDecoder::Heard Listener::heard_so_far() {
  if (final_.is_written() && !final_.has_grammar()) return written_so_far();
  const UtteranceDecoder::Heard sure = final_.heard();
  if (!draft_ || decoded_end_ == decoded_again_end_) return sure;
  UtteranceDecoder::Heard heard = draft_->heard();
  heard.stable_bytes = sure.stable_bytes;
  return heard;
}

void Listener::emit_partial() {
  const UtteranceDecoder::Heard heard = heard_so_far();
  const size_t num_bytes = std::min(heard.text.size(), last_partial_.size());
  const bool same =
      num_bytes == last_partial_bytes_ &&
      (num_bytes == 0 || std::memcmp(heard.text.data(), last_partial_.data(), num_bytes) == 0);
  if (same) return;
  std::memcpy(last_partial_.data(), heard.text.data(), num_bytes);
  last_partial_bytes_ = num_bytes;

  galago_event* event = begin_text_event(GALAGO_EVENT_PARTIAL, heard);
  event->stable_bytes = static_cast<uint32_t>(std::min(heard.stable_bytes, num_bytes));
  event->end_ns = time_ns(decoded_end_);
  publish(event);
  if (!has_partial_) metrics_->set_partial_latency_ns(event->emitted_ns - event->begin_ns);
  has_partial_ = true;
}

void Listener::emit_posteriors(const float* phones, const float* tokens, int num_rows) {
  galago_event* event = events_->begin(GALAGO_EVENT_POSTERIORS);
  event->utterance = endpoint_.in_utterance() ? utterance_ : 0;
  event->begin_ns = time_ns(history_end_);
  event->end_ns = time_ns(history_end_ + num_rows);
  float* out = events_->add_values(static_cast<size_t>(num_rows) * (num_phones_ + num_tokens_));
  for (int row = 0; row < num_rows; ++row) {
    out = std::copy_n(phones + static_cast<size_t>(row) * num_phones_, num_phones_, out);
    out = std::copy_n(tokens + static_cast<size_t>(row) * num_tokens_, num_tokens_, out);
  }
  publish(event);
}

void Listener::emit_phrases() {
  for (size_t i = 0; i < phrases_->num_detections(); ++i) {
    const SpottedPhrase& spotted = phrases_->detections()[i];
    galago_event* event = events_->begin(GALAGO_EVENT_PHRASE);
    event->utterance = endpoint_.in_utterance() ? utterance_ : 0;
    event->begin_ns = time_ns(spotted.begin_token);
    event->end_ns = time_ns(spotted.end_token);
    events_->set_text(spotted.phrase);
    *events_->add_values(1) = spotted.confidence;
    publish(event);
  }
}

void Listener::emit_voice_start() {
  galago_event* event = events_->begin(GALAGO_EVENT_VOICE_START);
  event->utterance = utterance_;
  event->begin_ns = event->end_ns = time_ns(voice_.begin_token());
  publish(event);
}

void Listener::emit_voice_stop() {
  galago_event* event = events_->begin(GALAGO_EVENT_VOICE_STOP);
  event->utterance = utterance_;
  event->begin_ns = time_ns(voice_.begin_token());
  event->end_ns = time_ns(voice_.end_token());
  publish(event);
}

GrammarDecoders Listener::make_grammar(const void* bytes, size_t num_bytes) const {
  if (bytes == nullptr) return {};
  GrammarOptions options;
  options.phone_log_priors = final_phone_log_priors_;
  options.prior_scale = ear_.prior_scale;
  options.accept_mean = ear_.accept_mean;
  options.accept_worst_word = ear_.accept_worst_word;
  options.acceptance = ear_.acceptance;
  options.tokens = ear_.tokens;
  options.max_tokens = max_tokens(ear_, options_);
  options.token_ms = ear_.token_ms();
  const auto automaton = PhoneAutomaton::parse(bytes, num_bytes, phones_digest(ear_));
  GrammarDecoders grammar;
  grammar.final = std::make_unique<GrammarDecoder>(automaton, options);
  if (draft_) {
    options.phone_log_priors = ear_.network.phone_log_priors;
    grammar.draft = std::make_unique<GrammarDecoder>(automaton, options);
  }
  return grammar;
}

GrammarDecoders Listener::set_grammar(GrammarDecoders grammar) {
  if (endpoint_.in_utterance()) {
    std::swap(next_grammar_, grammar);
    has_next_grammar_ = true;
  } else {
    swap_grammar(&grammar);
    has_next_grammar_ = false;
  }
  return grammar;
}

void Listener::swap_grammar(GrammarDecoders* grammar) {
  final_.swap_grammar(&grammar->final);
  if (draft_) draft_->swap_grammar(&grammar->draft);
}

std::unique_ptr<PhraseSpotter> Listener::make_phrases(const void* bytes, size_t num_bytes) const {
  if (bytes == nullptr) return nullptr;
  PhraseSpotterOptions options;
  options.phone_log_priors = ear_.network.phone_log_priors;
  options.prior_scale = ear_.prior_scale;
  options.threshold = ear_.phrase_threshold;
  return std::make_unique<PhraseSpotter>(
      PhoneAutomaton::parse(bytes, num_bytes, phones_digest(ear_)), options);
}

std::unique_ptr<PhraseSpotter> Listener::set_phrases(std::unique_ptr<PhraseSpotter> phrases) {
  if (phrases) phrases->reset(history_end_);
  std::swap(phrases_, phrases);
  return phrases;
}

std::shared_ptr<const HotwordGraph> Listener::make_hotwords(
    const std::vector<Hotword>& hotwords) const {
  if (hotwords.empty()) return nullptr;
  std::vector<Hotword> boosted = hotwords;
  for (Hotword& hotword : boosted) {
    if (hotword.boost == 0.0f) hotword.boost = ear_.hotword_boost;
  }
  const auto separator = std::find(ear_.tokens.begin(), ear_.tokens.end(), " ");
  if (separator == ear_.tokens.end()) {
    fail(GALAGO_E_UNSUPPORTED, "hotwords need tokens with a space between words");
  }
  return HotwordGraph::build(ear_.tokens, static_cast<int>(separator - ear_.tokens.begin()),
                             boosted);
}

bool Listener::are_known_words(const std::vector<Hotword>& hotwords) const {
  if (!options_.word_model) return true;
  for (const Hotword& hotword : hotwords) {
    for (size_t begin = 0; begin < hotword.phrase.size();) {
      const size_t end = std::min(hotword.phrase.find(' ', begin), hotword.phrase.size());
      std::string word = hotword.phrase.substr(begin, end - begin);
      for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      if (!word.empty() && !options_.word_model->has_word(word)) return false;
      begin = end + 1;
    }
  }
  return true;
}

void Listener::set_hotwords(const std::shared_ptr<const HotwordGraph>& hotwords,
                            bool are_known_words) {
  final_.set_hotwords(hotwords, are_known_words);
  if (draft_) draft_->set_hotwords(hotwords, are_known_words);
}

size_t Listener::num_bytes() const {
  return sizeof(*this) + final_.num_bytes() + (draft_ ? draft_->num_bytes() : 0) +
         (second_pass_ ? second_pass_->num_bytes() : 0) +
         heap_bytes(joined_text_, joined_words_, last_partial_, phone_history_, token_history_,
                    mixed_phones_, mixed_tokens_);
}

}  // namespace galago
