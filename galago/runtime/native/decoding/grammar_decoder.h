// What an utterance means, by a closed grammar over the phone head.
//
// Viterbi token passing (S. Young, N. Russell, J. Thornton, "Token passing: a simple conceptual
// model for connected speech recognition systems", 1989) over the phone arcs of an automaton.
// Every phone lasts at least one row; silence may stand around and between any two phones:
//
//   [SIL] S S [SIL] T AA AA P P [SIL]        one row each; [] may be missing
//
// Scores are log-likelihood ratios against the free phone loop (phone_scorer.h), so the best
// sentence and how well it fits at all come out of the same sums.
#ifndef GALAGO_NATIVE_DECODING_GRAMMAR_DECODER_H_
#define GALAGO_NATIVE_DECODING_GRAMMAR_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/acceptance.h"
#include "decoding/ctc_decoder.h"
#include "decoding/phone_automaton.h"

namespace galago {

struct GrammarOptions {
  std::vector<float> phone_log_priors;  // [num_phones]
  float prior_scale = 0.3f;             // [0, 1]
  // An utterance is accepted if its mean ratio and its worst word's reach these; <= 0, in nats
  // a speech row (see GrammarResult).
  float accept_mean = -1.0f;
  float accept_worst_word = -2.5f;
  // Instead of these two, if the token head is heard too (advance_tokens).
  std::optional<Acceptance> acceptance;
  std::vector<std::string> tokens;  // of the token head, if there is an acceptance
  // Hypotheses this far below the best one are dropped; infinity: none is.
  float beam_nats = 30.0f;
  int max_active_arcs = 2048;  // the best that go on; [16, 1 << 20]
  int max_tokens = 1024;       // rows of the longest utterance; [1, 65536]
  int token_ms = 40;           // a row; [1, 1000]
};

struct GrammarSlot {
  std::string_view name;  // NUL-terminated; lives as long as the automaton
  std::string_view value;
  float score;  // [0, 1]: exp(mean ratio) over the slot's words; the confidence if it has none
  int64_t begin_token;
  int64_t end_token;
};

// Ratios are sums over rows, divided by the number of speech rows: rows where the sentence or
// the free phone loop is not silent. (Where both are silent the ratio is 0.)
//
// A word reaches from its first phone to its last. A gap between words, before the first or
// after the last one also counts, so that a word which the grammar lacks is not swallowed as
// silence: in the mean, and among the words for the worst. So that a single odd row condemns
// nothing, for the worst a word has at least 4 speech rows, a gap at least 8.
struct GrammarResult {
  bool complete;           // some sentence of the grammar ends where the utterance ends
  bool accepted;           // complete, holds a word, and fits well enough
  float mean_ratio;        // <= 0; -infinity where not complete
  float worst_word_ratio;  // <= 0
  // [0, 1]; 0 where not complete. With an acceptance the probability that intent and slots are
  // right, without one exp(mean_ratio).
  float confidence;
  AcceptanceEvidence evidence;  // zeros without an acceptance, or where not complete
  std::string_view intent;      // empty where not complete
  const GrammarSlot* slots;
  size_t num_slots;
};

class GrammarDecoder {
 public:
  static constexpr size_t kMaxSlots = 64;  // of an utterance; further ones are left out

  // Everything is allocated here, in proportion to the grammar. Throws Error:
  // GALAGO_E_INVALID_ARGUMENT if the automaton is no grammar or has phones that the priors lack.
  GrammarDecoder(std::shared_ptr<const PhoneAutomaton> automaton, const GrammarOptions& options);
  ~GrammarDecoder();
  GrammarDecoder(GrammarDecoder&&) noexcept;
  GrammarDecoder& operator=(GrammarDecoder&&) noexcept;

  // Begin an utterance whose first row is the stream's row `first_token`.
  void reset(int64_t first_token);

  // Hears on from where `other`, over the same automaton, stands in its utterance, the rows of its
  // token head apart. Allocates nothing.
  void assign(const GrammarDecoder& other);

  // Hear num_rows rows of num_phones log-probabilities, `stride` floats apart. Rows beyond
  // max_tokens and after finish() are ignored.
  void advance(const float* phone_log_probs, int num_rows, int stride);

  // The same rows of the token head, whose columns are options.tokens; at any time before
  // finish(). Without an acceptance they are ignored.
  void advance_tokens(const float* token_log_probs, int num_rows, int stride);

  // The utterance is over: text(), words() and result() now tell of the best complete sentence,
  // or, where none is complete, text() and words() of the best incomplete one.
  const GrammarResult& finish();
  const GrammarResult& result() const;  // valid from finish() to reset()

  // The words of the best hypothesis so far, separated by one space; NUL-terminated. Word
  // confidence: exp(mean ratio of the word).
  const char* text() const;
  size_t text_bytes() const;
  // The first stable_bytes() of text() are shared by all hypotheses and never change within the
  // utterance; 0 if it may still turn out that nothing fits better.
  size_t stable_bytes() const;
  const DecodedWord* words() const;
  size_t num_words() const;

  int64_t next_token() const;

  // Phone arcs that are alive now: what a row costs.
  int num_active_arcs() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_GRAMMAR_DECODER_H_
