// Open text from the phone head: the likeliest words of a lexicon, by their sounds and by what
// usually follows what.
//
// Hypotheses stand in the lexicon's tree; a row moves them along it as CTC allows (stay on a blank,
// repeat a phone, go on to a child), and where a word is complete another may begin. Those that
// stand alike, at one node after words that matter alike, are one: what will come is the same for
// all of them. A word counts its n-gram when it is complete, and until then that of the likeliest
// word still possible.
//
// F. Jelinek, "Statistical Methods for Speech Recognition", 1997, ch. 5 (time-synchronous search
// of a lexical tree); Y. Miao et al., "EESEN", ASRU 2015 (CTC with a lexicon and a grammar).
#ifndef GALAGO_NATIVE_DECODING_WORD_DECODER_H_
#define GALAGO_NATIVE_DECODING_WORD_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "decoding/ctc_decoder.h"
#include "decoding/hotwords.h"
#include "decoding/word_model.h"

namespace galago {

struct WordDecoderOptions {
  int beam_width = 96;           // hypotheses kept a row; [1, 1024]
  float beam_nats = 14.0f;       // those so far below the best one are dropped; > 0
  float phone_nats = 8.0f;       // phones less likely than this are not tried; > 0
  float language_weight = 1.0f;  // of ln P(word | word before); >= 0
  float word_bonus = 0.0f;       // nats a word
  int max_tokens = 1024;         // rows of the longest utterance; [1, 65536]
  int num_hypotheses = 1;        // of finish(); [1, 256]
  int assigned_beam_width = 0;   // of the widest that assign() is given, if above beam_width
};

// Like CtcDecoder: reset(), advance() chunk by chunk, finish(); times count tokens of the stream.
// Everything is allocated when it is made.
class WordDecoder {
 public:
  // Throws Error (GALAGO_E_INVALID_ARGUMENT).
  WordDecoder(std::shared_ptr<const WordModel> model, const WordDecoderOptions& options);
  ~WordDecoder();
  WordDecoder(WordDecoder&&) noexcept;
  WordDecoder& operator=(WordDecoder&&) noexcept;

  // Prefer these phrases from now on; NULL: none. A word earns its bonus when it is complete.
  // `tokens` are those that the graph was built for. Not real-time safe: the graph before it may be
  // freed here.
  void set_hotwords(std::shared_ptr<const HotwordGraph> hotwords,
                    const std::vector<std::string>& tokens);

  // Begin an utterance whose first row is the stream's row `first_token`.
  void reset(int64_t first_token);

  // Hears on from where `other` stands in its utterance, with as many of its hypotheses as are kept
  // here; it is made alike but for beam_width and num_hypotheses, and told of the same hotwords.
  // Alternatives from before are forgotten. Allocates nothing.
  void assign(const WordDecoder& other);

  // Hear num_rows rows of phone log-probabilities, `stride` floats apart; [0] is silence and the
  // CTC blank. A NaN counts as a probability of 0. Rows beyond max_tokens are ignored, and rows
  // after finish().
  void advance(const float* log_probs, int num_rows, int stride);

  // What is stable now stays so whatever is chosen after finish().
  void settle();

  // The utterance is over: a word that is not complete is not one, and the whole text is stable.
  void finish();

  // After finish(), the likeliest texts, at least one and at most options.num_hypotheses, the
  // likeliest first: what each is worth, and making it the answer.
  size_t num_hypotheses() const;
  float score(size_t index) const;
  void choose(size_t index);
  // ln P(words) of the answer as a whole sentence, without its weight.
  float language_log_prob() const;

  // Of the best hypothesis, its complete words; NUL-terminated.
  const char* text() const;
  size_t text_bytes() const;
  // The first stable_bytes() of text() never change within the utterance: all hypotheses share
  // these words.
  size_t stable_bytes() const;
  // Confidence is the geometric mean, over a word's phones, of the posterior probability that each
  // reached where it was heard.
  const DecodedWord* words() const;
  size_t num_words() const;

  size_t num_bytes() const;  // on the heap, the model apart

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_WORD_DECODER_H_
