// What an utterance says: openly, and by a closed grammar where one is set. Open text comes
//
//   written   of an attention decoder, when the utterance is over (piece_decoder.h)
//   words     of the phones, by a lexicon and a language model (word_decoder.h)
//   tokens    of the CTC head's characters (ctc_decoder.h)
//
// by the first of these that there is; where hotwords are set, by the first that hears them.
#ifndef GALAGO_NATIVE_EAR_UTTERANCE_DECODER_H_
#define GALAGO_NATIVE_EAR_UTTERANCE_DECODER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "decoding/ctc_alignment.h"
#include "decoding/ctc_decoder.h"
#include "decoding/grammar_decoder.h"
#include "decoding/hotwords.h"
#include "decoding/piece_decoder.h"
#include "decoding/word_decoder.h"
#include "ear/ear.h"

namespace galago {

struct DecodingOptions {
  int max_tokens = 1024;                        // rows of the longest utterance
  bool greedy = false;                          // whatever the ear's decoding method
  bool beam = false;                            // the same, over greedy
  bool is_draft = false;                        // for partials only: it is never finished
  std::shared_ptr<const WordModel> word_model;  // for the method "words"; may be null
  std::shared_ptr<const PieceModel> decoder;    // that writes what is final; may be null
  int max_joined_tokens = 0;    // heard again, if the utterance goes on from another
  double rows_per_token = 0.0;  // of the encoder
  int max_encoder_rows = 0;     // of the longest utterance, for the decoder
};

// Everything is allocated when it is made, and when a grammar is.
class UtteranceDecoder {
 public:
  // Throws Error (GALAGO_E_INVALID_ARGUMENT).
  UtteranceDecoder(const Ear& ear, const DecodingOptions& options);

  // Begin an utterance whose first row is the stream's row `first_token`. Of the encoder's rows
  // so many come before those of this token.
  void reset(int64_t first_token, size_t num_rows_before = 0);
  // The same for one that goes on from the last, whose rows are heard again, before those of this
  // one, and whose text is what this one's follows; alone it has rows from first_row_alone on.
  // can_go_on() says whether there is such a text.
  bool can_go_on() const { return is_written() && !has_hotwords_ && !written_words_.empty(); }
  void go_on(int64_t first_token, size_t num_rows_before, size_t first_row_alone);
  // Hear on from where `other`, made alike and told of the same hotwords and grammar, stands in
  // its utterance. What the grammar makes of tokens is left out: this one cannot finish it.
  void assign(const UtteranceDecoder& other);
  // Rows of the next tokens: [num_rows][num_phones] and [num_rows][num_tokens].
  void advance(const float* phone_log_probs, const float* token_log_probs, int num_rows) {
    advance_text(phone_log_probs, token_log_probs, num_rows);
    advance_grammar(phone_log_probs, token_log_probs, num_rows);
  }
  // The same in two halves, where a grammar hears other rows than open text.
  void advance_text(const float* phone_log_probs, const float* token_log_probs, int num_rows);
  // Rows of the encoder, of which the running utterance is written.
  void advance_rows(const float* rows, size_t num_rows) { writer_->hear(rows, num_rows); }
  // Writes what was heard by now, though more is to come: until then there is no text.
  void write_so_far();
  bool is_written() const { return text_from_ == TextFrom::kWriter; }
  void advance_grammar(const float* phone_log_probs, const float* token_log_probs, int num_rows);
  bool has_grammar() const { return grammar_ != nullptr; }
  // What is stable now, and may have been told, stays so when the utterance is finished.
  void settle() {
    if (text_from_ == TextFrom::kWords) words_->settle();
  }
  // The utterance is over. Without a grammar the result is NULL; else valid until reset().
  const GrammarResult* finish();

  // What has been heard; valid until more is.
  struct Heard {
    std::string_view text;
    size_t stable_bytes;
    const DecodedWord* words;
    size_t num_words;
  };
  Heard heard() const { return grammar_ ? heard_by(*grammar_) : heard_openly(); }
  Heard heard_openly() const {
    if (is_written()) return heard_by_writer();
    return text_from_ == TextFrom::kWords ? heard_by(*words_) : heard_by(ctc_);
  }

  // Between utterances; the one before is handed back, to be freed where that does no harm.
  void swap_grammar(std::unique_ptr<GrammarDecoder>* grammar) { std::swap(grammar_, *grammar); }
  // Words that no dictionary lists are heard by their letters: unless `are_known_words`, from the
  // next utterance on open text is made of tokens, whatever the method.
  void set_hotwords(const std::shared_ptr<const HotwordGraph>& hotwords, bool are_known_words);

  size_t num_bytes() const;  // on the heap, grammars apart

 private:
  template <typename Decoder>
  static Heard heard_by(const Decoder& decoder) {
    return {{decoder.text(), decoder.text_bytes()},
            decoder.stable_bytes(),
            decoder.words(),
            decoder.num_words()};
  }

  Heard heard_by_writer() const {
    const std::string_view text = written_words_.empty() ? std::string_view() : writer_->text();
    const size_t num_agreed = std::min(writer_->num_agreed_words(), written_words_.size());
    const size_t stable_bytes = num_agreed == 0 ? 0
                                                : written_words_[num_agreed - 1].text_begin +
                                                      written_words_[num_agreed - 1].text_bytes;
    return {text, stable_bytes, written_words_.data(), written_words_.size()};
  }

  enum class TextFrom { kWriter, kWords, kTokens };

  void begin(int64_t first_token, size_t num_rows_before);
  // Writes, and finds out when each word was said: by the characters.
  void write();
  // How well they fit the text, which loses what was written twice and not said twice.
  float fit_written();
  // Where they heard what the text has not, writes it anew from there; whether it then fits better.
  bool fill_gap(size_t most_pieces, float* ratio);
  // Takes what was written last, if it fits better than `ratio`, or takes it back.
  bool keep_better(float* ratio);
  // Whether the characters heard nothing at all, and the writer is not sure of it either.
  bool is_made_up() const;
  // Of the words that the phones may be, those that the characters fit as well. With more evidence
  // of what was said, the language may count more: both heads err where a voice is unclear.
  void choose_words();

  const std::vector<std::string> tokens_;
  const int num_phones_;
  const int token_ms_;
  const float character_weight_;
  const double rows_per_token_;
  const float more_language_weight_;  // of a final's choice, beyond the search's

  CtcDecoder ctc_;
  std::optional<WordDecoder> words_;
  std::optional<CtcAlignment> characters_;  // of the running utterance, to choose words by
  bool words_know_hotwords_ = true;         // all of them, so that words_ can hear them
  std::optional<PieceDecoder> writer_;
  std::vector<DecodedWord> written_words_;
  bool has_hotwords_ = false;
  TextFrom text_from_ = TextFrom::kTokens;  // of the running utterance
  int64_t first_token_ = 0;
  size_t num_rows_before_ = 0;  // of the encoder
  std::unique_ptr<GrammarDecoder> grammar_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_EAR_UTTERANCE_DECODER_H_
