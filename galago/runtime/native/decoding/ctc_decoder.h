// Text from the token head: greedy or prefix beam search over CTC log-probabilities.
//
// One decoder hears one utterance after another: reset(), advance() chunk by chunk, finish().
// Times count tokens of the stream (rows of log-probabilities, 40 ms each by default), so
// they stay valid across utterances.
//
// A. Graves et al., "Connectionist temporal classification", ICML 2006; A. Hannun et al.,
// "First-pass large vocabulary continuous speech recognition using bi-directional recurrent
// DNNs", 2014 (prefix beam search).
#ifndef GALAGO_NATIVE_DECODING_CTC_DECODER_H_
#define GALAGO_NATIVE_DECODING_CTC_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "decoding/hotwords.h"

namespace galago {

enum class CtcMethod {
  kGreedy,  // the best token of every row, collapsed
  kBeam,    // the best collapsed text, summed over its paths
};

struct CtcOptions {
  CtcMethod method = CtcMethod::kGreedy;
  int beam_width = 8;     // hypotheses kept a row; [1, 64]
  int max_tokens = 1024;  // rows of the longest utterance; [1, 65536]
  int blank = 0;          // index of the CTC blank
  // A row's tokens that are this many nats below its best one are not tried by the beam; > 0.
  float token_beam_nats = 12.0f;
};

// A word of text(). Its confidence is the geometric mean, over its tokens, of the posterior
// probability each token reached where it was emitted: 1 where the network had no doubt.
struct DecodedWord {
  uint32_t text_begin;  // byte offset into text()
  uint32_t text_bytes;
  int64_t begin_token;  // first row of the word's first token
  int64_t end_token;    // one past the last row of its last token
  float confidence;     // [0, 1]
};

class CtcDecoder {
 public:
  // `tokens[i]` is what index i of a row spells; " " separates words and must be among them,
  // `tokens[blank]` spells nothing. Everything is allocated here. Throws Error
  // (GALAGO_E_INVALID_ARGUMENT).
  CtcDecoder(const std::vector<std::string>& tokens, const CtcOptions& options);
  ~CtcDecoder();
  CtcDecoder(CtcDecoder&&) noexcept;
  CtcDecoder& operator=(CtcDecoder&&) noexcept;

  // Prefer these phrases from now on; NULL: none. While any are set, kBeam is used whatever the
  // method; an utterance that already runs greedily changes over at its end. Not real-time
  // safe: the graph before it may be freed here.
  void set_hotwords(std::shared_ptr<const HotwordGraph> hotwords);

  // Begin an utterance whose first row is the stream's row `first_token`.
  void reset(int64_t first_token);

  // Hears on from where `other`, made alike and told of the same hotwords, stands in its utterance.
  // Allocates nothing.
  void assign(const CtcDecoder& other);

  // Hear num_rows rows of num_tokens log-probabilities, `stride` floats apart. -inf is a
  // probability of 0; a NaN counts as one. Rows beyond max_tokens are ignored: the endpoint
  // must have ended the utterance before. Rows after finish() are ignored until reset().
  void advance(const float* log_probs, int num_rows, int stride);

  // The utterance is over: hotwords that were left unfinished lose their bonus, and the whole
  // text is stable.
  void finish();

  // The best hypothesis, NUL-terminated; words are separated by one space, none around.
  const char* text() const;
  size_t text_bytes() const;

  // The first stable_bytes() of text() never change within the utterance. Greedy: up to the
  // last completed word. Beam: what all hypotheses share.
  size_t stable_bytes() const;

  const DecodedWord* words() const;
  size_t num_words() const;

  // What the running utterance uses.
  CtcMethod method() const;

  // The row that the next advance() begins with.
  int64_t next_token() const;

  // On the heap, hotwords apart: others may share them.
  size_t num_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_CTC_DECODER_H_
