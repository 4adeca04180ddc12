#include "ear/utterance_decoder.h"

#include <algorithm>
#include <limits>

#include "base/heap_bytes.h"
#include "base/status.h"

namespace galago {
namespace {

// Faster than anybody speaks, and for the shortest utterances.
constexpr int kPiecesPerS = 8;
constexpr int kSparePieces = 8;
// Of what is written where the characters are blank throughout, as they are in noise.
constexpr float kLeastConfidenceAlone = 0.6f;
// Heard between two words: so many were left out. And so often it is looked for them.
constexpr int kGapCharacters = 12;
constexpr int kMostGaps = 4;

size_t most_pieces(int num_tokens, int token_ms) {
  return static_cast<size_t>(num_tokens * token_ms / 1000 * kPiecesPerS + kSparePieces);
}

bool has_writer(const DecodingOptions& options) {
  return options.decoder != nullptr && !options.is_draft && !options.beam;
}

std::optional<PieceDecoder> make_writer(const Ear& ear, const DecodingOptions& options) {
  if (!has_writer(options)) return std::nullopt;
  return PieceDecoder(options.decoder, static_cast<size_t>(options.max_encoder_rows),
                      most_pieces(options.max_tokens + options.max_joined_tokens, ear.token_ms()));
}

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
  if (has_writer(options)) return CtcAlignment(ear.tokens, options.max_tokens, true);
  if (!has_words || options.is_draft || ear.character_weight == 0) return std::nullopt;
  return CtcAlignment(ear.tokens, options.max_tokens);
}

}  // namespace

UtteranceDecoder::UtteranceDecoder(const Ear& ear, const DecodingOptions& options)
    : tokens_(ear.tokens),
      num_phones_(static_cast<int>(ear.phones.size())),
      token_ms_(ear.token_ms()),
      character_weight_(ear.character_weight),
      rows_per_token_(options.rows_per_token),
      more_language_weight_(ear.final_language_weight.value_or(ear.language_weight) -
                            ear.language_weight),
      ctc_(ear.tokens, ctc_options(ear, options)),
      words_(make_word_decoder(ear, options)),
      characters_(make_characters(ear, options, words_.has_value())),
      writer_(make_writer(ear, options)) {
  if (writer_) reserve_written(most_pieces(options.max_tokens, token_ms_), &written_words_);
  reset(0);
}

void UtteranceDecoder::begin(int64_t first_token, size_t num_rows_before) {
  first_token_ = first_token;
  num_rows_before_ = num_rows_before;
  if (characters_) characters_->reset();
  written_words_.clear();
  if (grammar_) grammar_->reset(first_token);
}

void UtteranceDecoder::reset(int64_t first_token, size_t num_rows_before) {
  begin(first_token, num_rows_before);
  text_from_ = writer_ && !has_hotwords_        ? TextFrom::kWriter
               : words_ && words_know_hotwords_ ? TextFrom::kWords
                                                : TextFrom::kTokens;
  if (is_written()) {
    writer_->reset();
  } else if (text_from_ == TextFrom::kWords) {
    words_->reset(first_token);
  } else {
    ctc_.reset(first_token);
  }
}

void UtteranceDecoder::go_on(int64_t first_token, size_t num_rows_before, size_t first_row_alone) {
  begin(first_token, num_rows_before);
  writer_->go_on(first_row_alone);
}

void UtteranceDecoder::assign(const UtteranceDecoder& other) {
  text_from_ = other.text_from_;
  if (text_from_ == TextFrom::kWords) {
    words_->assign(*other.words_);
  } else {
    ctc_.assign(other.ctc_);
  }
  if (grammar_) grammar_->assign(*other.grammar_);
}

void UtteranceDecoder::advance_text(const float* phone_log_probs, const float* token_log_probs,
                                    int num_rows) {
  const int num_tokens = static_cast<int>(tokens_.size());
  if (text_from_ == TextFrom::kTokens) {
    ctc_.advance(token_log_probs, num_rows, num_tokens);
    return;
  }
  if (text_from_ == TextFrom::kWords) words_->advance(phone_log_probs, num_rows, num_phones_);
  if (characters_) characters_->advance(token_log_probs, num_rows, num_tokens);
}

void UtteranceDecoder::advance_grammar(const float* phone_log_probs, const float* token_log_probs,
                                       int num_rows) {
  if (!grammar_) return;
  grammar_->advance(phone_log_probs, num_rows, num_phones_);
  grammar_->advance_tokens(token_log_probs, num_rows, static_cast<int>(tokens_.size()));
}

const GrammarResult* UtteranceDecoder::finish() {
  if (is_written()) {
    write();
  } else if (text_from_ == TextFrom::kWords) {
    words_->finish();
    if (characters_ && character_weight_ > 0.0f) choose_words();
  } else {
    ctc_.finish();
  }
  return grammar_ ? &grammar_->finish() : nullptr;
}

void UtteranceDecoder::write_so_far() {
  write();
  writer_->agree();
}

float UtteranceDecoder::fit_written() {
  const float ratio = characters_->align(writer_->text()).ratio;
  // A passage that stands there twice was said twice only if the characters say so as well.
  const size_t repeated = writer_->first_repeated_word();
  if (repeated == writer_->words().size()) return ratio;
  const std::string_view once = writer_->text().substr(0, writer_->words()[repeated].text_begin);
  const float ratio_once = characters_->align(once).ratio;
  if (ratio_once <= ratio) return ratio;
  writer_->keep_words(repeated);
  return ratio_once;
}

bool UtteranceDecoder::keep_better(float* ratio) {
  const float other = fit_written();
  if (other > *ratio) {
    *ratio = other;
    return true;
  }
  writer_->take_back();
  return false;
}

bool UtteranceDecoder::fill_gap(size_t most_pieces, float* ratio) {
  characters_->align(writer_->text());
  const std::vector<PieceDecoder::Word>& words = writer_->words();
  size_t num_words_before = 0;
  int gap_begin = 0, most_heard = 0, last_end = 0;
  for (size_t i = 0; i <= words.size(); ++i) {
    CtcAlignment::Place place{characters_->num_rows(), characters_->num_rows()};
    if (i < words.size()) place = characters_->place(words[i].text_begin, words[i].text_bytes);
    const int num_heard =
        i < writer_->num_agreed_words() ? 0 : characters_->num_heard(last_end, place.begin_row);
    if (num_heard > most_heard) {
      most_heard = num_heard;
      num_words_before = i;
      gap_begin = last_end;
    }
    last_end = std::max(last_end, place.end_row);
  }
  if (most_heard < kGapCharacters) return false;
  const auto num_rows = static_cast<size_t>(gap_begin * rows_per_token_);
  writer_->write_behind(num_words_before, num_rows_before_ + num_rows, most_pieces);
  return keep_better(ratio);
}

bool UtteranceDecoder::is_made_up() const {
  if (writer_->num_agreed_words() > 0 || !characters_->is_blank()) return false;
  float confidence = 1.0f;
  for (const PieceDecoder::Word& word : writer_->words()) confidence *= word.confidence;
  return confidence < kLeastConfidenceAlone;
}

void UtteranceDecoder::write() {
  written_words_.clear();
  const size_t most = most_pieces(characters_->num_rows(), token_ms_);
  writer_->write(most);
  float ratio = fit_written();
  if (writer_->has_gone_on()) {
    writer_->write_alone(most);
    keep_better(&ratio);
  }
  if (writer_->begins_otherwise()) {
    writer_->write_on(most);
    keep_better(&ratio);
  }
  for (int i = 0; i < kMostGaps && fill_gap(most, &ratio); ++i) {
  }
  if (is_made_up()) writer_->keep_words(0);
  characters_->align(writer_->text());
  int64_t last_end = first_token_;
  for (const PieceDecoder::Word& word : writer_->words()) {
    const CtcAlignment::Place place = characters_->place(word.text_begin, word.text_bytes);
    const int64_t begin = std::max(first_token_ + place.begin_row, last_end);
    last_end = std::max(first_token_ + place.end_row, begin);
    written_words_.push_back({word.text_begin, word.text_bytes, begin, last_end, word.confidence});
  }
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
  has_hotwords_ = hotwords != nullptr;
  words_know_hotwords_ = are_known_words;
  if (words_) words_->set_hotwords(are_known_words ? hotwords : nullptr, tokens_);
  ctc_.set_hotwords(hotwords);
}

size_t UtteranceDecoder::num_bytes() const {
  return ctc_.num_bytes() + (words_ ? words_->num_bytes() : 0) +
         (characters_ ? characters_->num_bytes() : 0) + (writer_ ? writer_->num_bytes() : 0) +
         heap_bytes(written_words_);
}

}  // namespace galago
