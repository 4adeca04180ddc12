// What is heard in the network's rows: voice, utterances, words, intents, wake phrases.
//
//   rows ─┬─ phrase spotter ──────────────────────────────────────────────> PHRASE
//         ├─ voice activity ──────────────────────────────────────────────> VOICE_START, _STOP
//         └─ endpoint ── within an utterance: CTC, grammar decoder ───────> PARTIAL, FINAL, ...
//
// Nothing is decoded outside of utterances, so silence and noise have no text. A short history of
// rows serves the padding before a voice.
#ifndef GALAGO_NATIVE_LISTENER_H_
#define GALAGO_NATIVE_LISTENER_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture_clock.h"
#include "ctc_decoder.h"
#include "endpoint.h"
#include "event_queue.h"
#include "grammar_decoder.h"
#include "manifest.h"
#include "metrics.h"
#include "phrase_spotter.h"
#include "voice_activity.h"
#include "word_decoder.h"

namespace galago {

struct ListenerOptions {
  int chunk_tokens = 8;         // the most rows of one advance()
  int endpoint_silence_ms = 0;  // 0: the ear's
  int max_utterance_ms = 0;     // 0: the ear's
  bool greedy = false;          // whatever the ear's decoding method
  bool beam = false;            // the same, over greedy
  bool partials = true;
  bool posteriors = false;                      // tell them too
  std::shared_ptr<const WordModel> word_model;  // for the method "words"; may be null
};

class Listener {
 public:
  // `events`, `metrics` and `clock` outlive the listener. Throws Error (GALAGO_E_INVALID_ARGUMENT).
  Listener(const Ear& ear, const ListenerOptions& options, EventQueue* events,
           SessionMetrics* metrics, const StreamClock* clock);

  // What the events of such a listener can hold.
  static EventLimits event_limits(const Ear& ear, const ListenerOptions& options);

  // Before the first utterance; what to listen for stays.
  void reset();
  // A new stream begins: its token 0 comes next. Utterances go on being counted.
  void restart();
  // Rows of the next tokens: [num_rows][num_phones] and [num_rows][num_tokens].
  void advance(const float* phone_log_probs, const float* token_log_probs, int num_rows);
  // The stream is over: what is open is ended.
  void finish();

  // A chunk ends when it is full, an utterance when it has been silent for long enough: rows that
  // are still to come need not be waited for if their samples are known to be silent.
  //
  // The token before which the utterance ends if it stays silent, -1 while nothing waits for it.
  int64_t silence_deadline() const { return endpoint_.silence_deadline(voice_); }
  // How many of the last rows were silent, while silence_deadline() is not -1.
  int64_t num_silent_rows() const { return history_end_ - voice_.end_token(); }
  // It stayed silent until then.
  void end_in_silence();

  // What to listen for. Between calls of advance(), on a thread that may block: what was set before
  // is handed back, to be freed where that does no harm. NULL: nothing any more.
  std::unique_ptr<GrammarDecoder> make_grammar(const void* bytes, size_t num_bytes) const;
  std::unique_ptr<GrammarDecoder> set_grammar(std::unique_ptr<GrammarDecoder> grammar);
  std::unique_ptr<PhraseSpotter> make_phrases(const void* bytes, size_t num_bytes) const;
  std::unique_ptr<PhraseSpotter> set_phrases(std::unique_ptr<PhraseSpotter> phrases);
  std::shared_ptr<const HotwordGraph> make_hotwords(const std::vector<Hotword>& hotwords) const;
  void set_hotwords(std::shared_ptr<const HotwordGraph> hotwords, bool are_known_words);
  // Whether the word model knows every word of these phrases. Takes long: for the control thread.
  bool are_known_words(const std::vector<Hotword>& hotwords) const;

  size_t num_bytes() const;

 private:
  void remember(const float* phone_log_probs, const float* token_log_probs, int num_rows);
  void begin_utterance();
  void decode_until(int64_t end_token);
  void end_utterance();

  void emit_posteriors(const float* phones, const float* tokens, int num_rows);
  void emit_phrases();
  void emit_voice_start();
  void emit_voice_stop();
  void emit_partial();
  // What a decoder has heard of the running utterance; valid until it hears more.
  struct Heard {
    std::string_view text;
    size_t stable_bytes;
    const DecodedWord* words;
    size_t num_words;
  };
  template <typename Decoder>
  static Heard heard_by(const Decoder& decoder) {
    return {{decoder.text(), decoder.text_bytes()},
            decoder.stable_bytes(),
            decoder.words(),
            decoder.num_words()};
  }
  Heard heard_in_grammar() const { return heard_by(*grammar_); }
  Heard heard_openly() const { return has_words_ ? heard_by(*words_) : heard_by(ctc_); }
  // Of the running utterance, begun in the queue.
  galago_event* begin_text_event(uint32_t type, const Heard& heard);
  void publish(galago_event* event);

  int64_t time_ns(int64_t token) const { return clock_->capture_ns(token * token_samples_); }
  // Of the utterance; where the voice before it ended, if it has none.
  int64_t voice_end_token() const { return std::max(voice_.end_token(), voice_begin_token_); }

  const Ear ear_;
  const ListenerOptions options_;
  const int64_t token_samples_;
  const size_t num_phones_;
  const size_t num_tokens_;
  EventQueue* const events_;
  SessionMetrics* const metrics_;
  const StreamClock* const clock_;

  VoiceActivity voice_;
  Endpoint endpoint_;
  CtcDecoder ctc_;
  std::optional<WordDecoder> words_;
  bool words_know_hotwords_ = true;  // all of them, so that words_ can hear them
  bool has_words_ = false;           // words_ hears the running utterance, and ctc_ does not
  std::unique_ptr<GrammarDecoder> grammar_;
  std::unique_ptr<GrammarDecoder> next_grammar_;  // from the next utterance, if has_next_grammar_
  bool has_next_grammar_ = false;
  std::unique_ptr<PhraseSpotter> phrases_;

  // Rows [history_begin_, history_end_) of the stream.
  size_t history_rows_;  // kept from one advance() to the next
  int64_t history_begin_ = 0;
  int64_t history_end_ = 0;
  std::vector<float> phone_history_;
  std::vector<float> token_history_;

  uint64_t utterance_ = 0;  // 1, 2, 3, ...; the last one that began
  int64_t decoded_end_ = 0;
  int64_t voice_begin_token_ = 0;  // first voice of the utterance
  std::vector<char> last_partial_;
  size_t last_partial_bytes_ = 0;
  bool has_partial_ = false;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_LISTENER_H_
