// What is heard in the network's rows: voice, utterances, words, intents, wake phrases.
//
//   rows ─┬─ phrase spotter ──────────────────────────────────────────────> PHRASE
//         ├─ voice activity ──────────────────────────────────────────────> VOICE_START, _STOP
//         └─ endpoint ── within an utterance: CTC, grammar decoder ───────> PARTIAL, FINAL, ...
//
// Nothing is decoded outside of utterances, so silence and noise have no text. A short history of
// rows serves the padding before a voice.
//
// With a second pass (second_pass.h) these rows only make partials: what is final, and the stable
// part of a partial, comes of the second pass's. After each chunk of it the draft takes over what
// the final decoder has, and hears the rows since then again:
//
//   final   |==============|==============|
//   draft                                 |--|--|--|   the stable part: what final is sure of
#ifndef GALAGO_NATIVE_EAR_LISTENER_H_
#define GALAGO_NATIVE_EAR_LISTENER_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/phrase_spotter.h"
#include "ear/capture_clock.h"
#include "ear/ear.h"
#include "ear/endpoint.h"
#include "ear/second_pass.h"
#include "ear/utterance_decoder.h"
#include "ear/voice_activity.h"
#include "role/event_queue.h"
#include "role/metrics.h"

namespace galago {

struct ListenerOptions {
  int chunk_tokens = 8;         // the most rows of one advance()
  int lookahead_tokens = 0;     // by which these are behind the frames
  int endpoint_silence_ms = 0;  // 0: the ear's
  int max_utterance_ms = 0;     // 0: the ear's
  bool greedy = false;          // whatever the ear's decoding method
  bool beam = false;            // the same, over greedy
  bool partials = true;
  bool posteriors = false;                        // tell them too
  std::shared_ptr<const WordModel> word_model;    // for the method "words"; may be null
  const OpenedSecondPass* second_pass = nullptr;  // nullptr: one pass
};

// What a closed grammar is heard by.
struct GrammarDecoders {
  std::unique_ptr<GrammarDecoder> final;
  std::unique_ptr<GrammarDecoder> draft;  // with a second pass and partials
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
  // The frames that the second pass sees of what the rows of the next advance() were computed from.
  void hear(const float* frames, int num_frames);
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
  // It did not stay silent, but what is heard in these frames, the next ones of the stream, may be
  // no voice: the second pass is asked. False: it may be one, or cannot be told.
  bool end_at_second_sight(const float* frames, int num_frames);

  // What broke the second pass; nullptr: nothing. Then nothing more is final until restart().
  const char* failure() const { return second_pass_ ? second_pass_->failure() : nullptr; }
  // Time that the second pass was in the engine, since this was asked last.
  int64_t take_engine_ns() { return second_pass_ ? second_pass_->take_engine_ns() : 0; }

  // What to listen for. Between calls of advance(), on a thread that may block: what was set before
  // is handed back, to be freed where that does no harm. NULL: nothing any more.
  GrammarDecoders make_grammar(const void* bytes, size_t num_bytes) const;
  GrammarDecoders set_grammar(GrammarDecoders grammar);
  std::unique_ptr<PhraseSpotter> make_phrases(const void* bytes, size_t num_bytes) const;
  std::unique_ptr<PhraseSpotter> set_phrases(std::unique_ptr<PhraseSpotter> phrases);
  std::shared_ptr<const HotwordGraph> make_hotwords(const std::vector<Hotword>& hotwords) const;
  void set_hotwords(const std::shared_ptr<const HotwordGraph>& hotwords, bool are_known_words);
  // Whether the word model knows every word of these phrases. Takes long: for the control thread.
  bool are_known_words(const std::vector<Hotword>& hotwords) const;

  size_t num_bytes() const;

 private:
  void remember(const float* phone_log_probs, const float* token_log_probs, int num_rows);
  void begin_utterance();
  void begin_second_pass();  // and what finals are decoded by, which may go on from the last
  void decode_until(int64_t end_token);
  // What is final, as far as frames were heard, but not beyond end_token; `is_over`: all of it.
  void decode_again_until(int64_t end_token, bool is_over);
  // Of the second pass's rows of these tokens, or of both networks'.
  void hear_grammar(int64_t begin, int64_t end);
  void end_utterance();
  void swap_grammar(GrammarDecoders* grammar);

  void emit_posteriors(const float* phones, const float* tokens, int num_rows);
  void emit_phrases();
  void emit_voice_start();
  void emit_voice_stop();
  void emit_partial();
  void emit_final(const UtteranceDecoder::Heard& heard);
  void emit_intent(const GrammarResult& result);
  void add_words(const UtteranceDecoder::Heard& heard);
  // The likeliest so far; of it, what can still change is the draft's.
  UtteranceDecoder::Heard heard_so_far();
  // What is written by now, and of the draft what it heard behind that.
  UtteranceDecoder::Heard written_so_far();
  // Of the running utterance, begun in the queue.
  galago_event* begin_text_event(uint32_t type, const UtteranceDecoder::Heard& heard);
  void publish(galago_event* event);

  int64_t time_ns(int64_t token) const { return clock_->capture_ns(token * token_samples_); }
  // Of the utterance; where the voice before it ended, if it has none.
  int64_t voice_end_token() const { return std::max(voice_.end_token(), voice_begin_token_); }

  const Ear ear_;
  const ListenerOptions options_;
  const std::vector<float> final_phone_log_priors_;  // of the network that finals come from
  const int64_t token_samples_;
  const size_t num_phones_;
  const size_t num_tokens_;
  EventQueue* const events_;
  SessionMetrics* const metrics_;
  const StreamClock* const clock_;

  VoiceActivity voice_;
  Endpoint endpoint_;
  std::optional<SecondPass> second_pass_;
  UtteranceDecoder final_;
  std::optional<UtteranceDecoder> draft_;  // with a second pass, if there are partials
  GrammarDecoders next_grammar_;           // from the next utterance, if has_next_grammar_
  bool has_next_grammar_ = false;
  std::unique_ptr<PhraseSpotter> phrases_;

  // Rows [history_begin_, history_end_) of the stream.
  size_t history_rows_;  // kept from one advance() to the next
  int64_t history_begin_ = 0;
  int64_t history_end_ = 0;
  std::vector<float> phone_history_;
  std::vector<float> token_history_;
  std::vector<float> mixed_phones_;  // what a grammar hears of both networks
  std::vector<float> mixed_tokens_;

  uint64_t utterance_ = 0;         // 1, 2, 3, ...; the last one that began
  int64_t decoded_end_ = 0;        // of the rows that were heard
  int64_t decoded_again_end_ = 0;  // of the second pass's
  int64_t last_end_ = 0;           // token before which the last utterance ended
  int64_t final_begin_ = 0;        // of the first of them in the utterance
  int64_t voice_begin_token_ = 0;  // first voice of the utterance
  std::vector<char> joined_text_;  // of a partial that is written in part
  std::vector<DecodedWord> joined_words_;
  std::vector<char> last_partial_;
  size_t last_partial_bytes_ = 0;
  bool has_partial_ = false;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_LISTENER_H_
