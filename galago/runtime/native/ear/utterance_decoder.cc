#include "ear/utterance_decoder.h"

#include <limits>

#include "base/status.h"

namespace galago {
namespace {

CtcOptions ctc_options(const Ear& ear, const DecodingOptions& options) {
  CtcOptions ctc;
  const bool beam = options.beam || (!options.greedy && ear.decoding_method == "beam");
  ctc.method = beam ? CtcMethod::kBeam : CtcMethod::kGreedy;
  ctc.beam_width = ear.beam_width;
  ctc.max_tokens = options.max_tokens;
  return ctc;
}

std::optional<WordDecoder> make_word_decoder(const Ear& ear, const DecodingOptions& options) {
  if (ear.decoding_method != "words" || options.beam || options.greedy) return std::nullopt;
  if (options.word_model && options.word_model->phones() != ear.phones)
    fail(GALAGO_E_CORRUPT, "the word model is for other phones than the ear's");
  const int final_width =
      ear.final_word_beam_width != 0 ? ear.final_word_beam_width : ear.word_beam_width;
  WordDecoderOptions words;
  words.beam_width = options.is_draft ? ear.word_beam_width : final_width;
  words.assigned_beam_width = options.is_draft ? final_width : 0;
  if (!options.is_draft && ear.character_weight > 0) words.num_hypotheses = ear.num_hypotheses;
  words.beam_nats = ear.word_beam_nats;
  words.language_weight = ear.language_weight;
  words.word_bonus = ear.word_bonus;
  words.max_tokens = options.max_tokens;
  return WordDecoder(options.word_model, words);
}

std::optional<CtcAlignment> make_characters(const Ear& ear, const DecodingOptions& options,
                                            bool has_words) {
  if (!has_words || options.is_draft || ear.character_weight == 0) return std::nullopt;
  return CtcAlignment(ear.tokens, options.max_tokens);
}

}  // namespace

UtteranceDecoder::UtteranceDecoder(const Ear& ear, const DecodingOptions& options)
    : tokens_(ear.tokens),
      num_phones_(static_cast<int>(ear.phones.size())),
      character_weight_(ear.character_weight),
      more_language_weight_(ear.final_language_weight.value_or(ear.language_weight) -
                            ear.language_weight),
      ctc_(ear.tokens, ctc_options(ear, options)),
      words_(make_word_decoder(ear, options)),
      characters_(make_characters(ear, options, words_.has_value())) {
  reset(0);
}

void UtteranceDecoder::reset(int64_t first_token) {
  has_words_ = words_ && words_know_hotwords_;
  if (has_words_) {
    words_->reset(first_token);
    if (characters_) characters_->reset();
  } else {
    ctc_.reset(first_token);
  }
  if (grammar_) grammar_->reset(first_token);
}

void UtteranceDecoder::assign(const UtteranceDecoder& other) {
  has_words_ = other.has_words_;
  if (has_words_) {
    words_->assign(*other.words_);
  } else {
    ctc_.assign(other.ctc_);
  }
  if (grammar_) grammar_->assign(*other.grammar_);
}

void UtteranceDecoder::advance_text(const float* phone_log_probs, const float* token_log_probs,
                                    int num_rows) {
  const int num_tokens = static_cast<int>(tokens_.size());
  if (has_words_) {
    words_->advance(phone_log_probs, num_rows, num_phones_);
    if (characters_) characters_->advance(token_log_probs, num_rows, num_tokens);
  } else {
    ctc_.advance(token_log_probs, num_rows, num_tokens);
  }
}

void UtteranceDecoder::advance_grammar(const float* phone_log_probs, const float* token_log_probs,
                                       int num_rows) {
  if (!grammar_) return;
  grammar_->advance(phone_log_probs, num_rows, num_phones_);
  grammar_->advance_tokens(token_log_probs, num_rows, static_cast<int>(tokens_.size()));
}

const GrammarResult* UtteranceDecoder::finish() {
  if (has_words_) {
    words_->finish();
    if (characters_) choose_words();
  } else {
    ctc_.finish();
  }
  return grammar_ ? &grammar_->finish() : nullptr;
}

void UtteranceDecoder::choose_words() {
  size_t best = 0;
  float best_score = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < words_->num_hypotheses(); ++i) {
    words_->choose(i);
    const std::string_view text(words_->text(), words_->text_bytes());
    const float score = words_->score(i) + character_weight_ * characters_->align(text).ratio +
                        more_language_weight_ * words_->language_log_prob();
    if (score > best_score) {
      best_score = score;
      best = i;
    }
  }
  words_->choose(best);
}

void UtteranceDecoder::set_hotwords(const std::shared_ptr<const HotwordGraph>& hotwords,
                                    bool are_known_words) {
  words_know_hotwords_ = are_known_words;
  if (words_) words_->set_hotwords(are_known_words ? hotwords : nullptr, tokens_);
  ctc_.set_hotwords(hotwords);
}

size_t UtteranceDecoder::num_bytes() const {
  return ctc_.num_bytes() + (words_ ? words_->num_bytes() : 0) +
         (characters_ ? characters_->num_bytes() : 0);
}

}  // namespace galago
