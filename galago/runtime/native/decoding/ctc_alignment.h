// How well a known text fits the rows of the token head: the best of all CTC paths that spell it.
//
// The rows of an utterance are kept as they come, in memory of the constructor; only when it is
// over, and a grammar tells what may have been said, a text is aligned (Viterbi over the blanks
// and characters of A. Graves et al., "Connectionist temporal classification", ICML 2006, section
// 4.1, with a maximum where they have a sum).
#ifndef GALAGO_NATIVE_DECODING_CTC_ALIGNMENT_H_
#define GALAGO_NATIVE_DECODING_CTC_ALIGNMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/phone_scorer.h"

namespace galago {

class CtcAlignment {
 public:
  static constexpr size_t kMaxTokens = 256;

  struct Fit {
    int num_characters;  // of the text that the tokens can spell
    // Log-probability of the best path that spells them less that of the best path of all; <= 0.
    // No row counts for less than PhoneScorer::kFloorNats; all do if there are too few rows.
    float ratio;
  };

  // `tokens[0]` is the CTC blank; of the others, those of one byte are characters. At most
  // kMaxTokens of them. max_rows: [1, 65536]. Throws Error (GALAGO_E_INVALID_ARGUMENT).
  CtcAlignment(const std::vector<std::string>& tokens, int max_rows, bool has_places = false);

  void reset() { num_rows_ = 0; }

  // Hear num_rows rows of log-probabilities, `stride` floats apart; those beyond max_rows are
  // ignored.
  void advance(const float* token_log_probs, int num_rows, int stride);

  // Letters of either case; what no token spells is left out. Costs rows * characters additions.
  Fit align(std::string_view text);

  // Where a part of a text was said: rows [begin_row, end_row).
  struct Place {
    int begin_row;
    int end_row;
  };
  // The rows of bytes [begin, begin + num_bytes) of the text of the last align(), which must have
  // had places; no rows where nothing of it is spelled.
  Place place(size_t begin, size_t num_bytes) const;

  // How many characters the best path of all spells in rows [begin, end), spaces apart.
  int num_heard(int begin_row, int end_row) const;
  // Whether it spells nothing, not even a space.
  bool is_blank() const;

  size_t num_bytes() const;  // on the heap

  int num_rows() const { return static_cast<int>(num_rows_); }
  // Log-probability of a row's likeliest token; <= 0, and 0 for a row that says nothing.
  float peak(int row) const { return peaks_[static_cast<size_t>(row)]; }

 private:
  static constexpr int16_t kNone = -1;

  void find_places(bool ends_in_blank);
  void spread_places();  // evenly: the text cannot be aligned

  const size_t num_tokens_;
  const size_t max_rows_;
  std::array<int16_t, 256> token_of_byte_;
  PhoneScorer scorer_;  // without priors: log-probabilities less the largest of the row
  size_t num_rows_ = 0;
  std::vector<float> ratios_;   // [max_rows][num_tokens]
  std::vector<float> peaks_;    // [max_rows]
  std::vector<uint8_t> best_;   // [max_rows]: the likeliest token
  std::vector<size_t> labels_;  // [2 * max_rows + 1]: blanks and characters in turn
  std::vector<float> scores_;   // [2 * max_rows + 1]: the best path to each of them
  // With places: by how many labels the best path came on to each label in each row, two bits of
  // a byte for each of [max_rows][2 * max_rows + 1].
  std::vector<uint8_t> steps_;
  std::vector<uint32_t> byte_of_label_;  // of the text, for each label that is a character
  std::vector<Place> place_of_label_;
  size_t num_labels_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_CTC_ALIGNMENT_H_
