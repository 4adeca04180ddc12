// Aligning a known text: exactly what a walk over every path finds, and odd rows and texts.
#include "decoding/ctc_alignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/test_rows.h"

using galago::CtcAlignment;

namespace {

const std::vector<std::string> kTokens = {"<blank>", " ", "a", "b"};
constexpr int kNumTokens = 4;
constexpr float kFloor = galago::PhoneScorer::kFloorNats;

CtcAlignment::Fit fit(const std::vector<float>& rows, const std::string& text,
                      int rows_per_call = 3, int max_rows = 64) {
  CtcAlignment alignment(kTokens, max_rows);
  const int num_rows = static_cast<int>(rows.size()) / kNumTokens;
  for (int first = 0; first < num_rows; first += rows_per_call)
    alignment.advance(rows.data() + first * kNumTokens, std::min(rows_per_call, num_rows - first),
                      kNumTokens);
  return alignment.align(text);
}

// The best of all kNumTokens ^ num_rows paths that collapse to the text, less the best of all.
double best_ratio(const std::vector<float>& rows, const std::string& text) {
  const size_t num_rows = rows.size() / kNumTokens;
  double best_of_text = -std::numeric_limits<double>::infinity(), best = best_of_text;
  std::vector<size_t> path(num_rows, 0);
  while (true) {
    double sum = 0;
    std::string collapsed;
    for (size_t i = 0; i < num_rows; ++i) {
      sum += static_cast<double>(rows[i * kNumTokens + path[i]]);
      if (path[i] != 0 && (i == 0 || path[i] != path[i - 1])) collapsed += kTokens[path[i]];
    }
    best = std::max(best, sum);
    if (collapsed == text) best_of_text = std::max(best_of_text, sum);
    size_t i = 0;
    while (i < num_rows && ++path[i] == kNumTokens) path[i++] = 0;
    if (i == num_rows) return best_of_text - best;
  }
}

}  // namespace

TEST(the_best_path_of_a_text_is_the_best_of_all_its_paths) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    const std::vector<float> rows = noisy_rows_of({0, 2, 2, 3, 0, 3}, kNumTokens, 2.0, seed);
    for (const char* text : {"abb", "ab", "a", "", "a b", "bab", "aabb", " "}) {
      const double expected = best_ratio(rows, text);
      if (std::isinf(expected)) continue;
      for (const int rows_per_call : {1, 4, 6})
        CHECK_NEAR(fit(rows, text, rows_per_call).ratio, expected, 1e-4);
    }
  }
}

TEST(characters_are_counted_with_their_spaces_and_in_either_case) {
  const std::vector<float> rows = rows_of({2, 1, 3, 0, 3}, kNumTokens);
  CHECK_EQ(fit(rows, "a bb").num_characters, 4);
  CHECK_NEAR(fit(rows, "a bb").ratio, 0.0, 1e-5);
  CHECK_NEAR(fit(rows, "A Bb").ratio, 0.0, 1e-5);
  CHECK_EQ(fit(rows, "a-b\xC3\xA9").num_characters, 2);  // what no token spells is left out
  CHECK_EQ(fit(rows, "").num_characters, 0);
}

TEST(equal_characters_need_a_blank_between_them) {
  const std::vector<float> rows = rows_of({3, 3}, kNumTokens);
  CHECK_NEAR(fit(rows, "b").ratio, 0.0, 1e-5);
  CHECK_NEAR(fit(rows, "bb").ratio, 2 * kFloor, 1e-5);  // three rows at least
}

TEST(a_text_longer_than_its_rows_is_as_bad_as_can_be) {
  const std::vector<float> rows = rows_of({2, 3}, kNumTokens);
  CHECK_NEAR(fit(rows, "aba").ratio, 2 * kFloor, 1e-5);
  CHECK_NEAR(fit(rows, std::string(500, 'a'), 3, 2).ratio, 2 * kFloor, 1e-5);
  CHECK_EQ(fit(rows, std::string(500, 'a'), 3, 2).num_characters, 500);
  CHECK_EQ(fit({}, "").ratio, 0.0f);
}

TEST(broken_rows_say_nothing_and_impossible_ones_count_for_the_floor) {
  std::vector<float> rows = rows_of({2, 3, 2}, kNumTokens);
  for (size_t i = 0; i < kNumTokens; ++i) rows[kNumTokens + i] = std::nanf("");
  CHECK_NEAR(fit(rows, "aa").ratio, 0.0, 1e-5);
  std::vector<float> sure(kNumTokens, -std::numeric_limits<float>::infinity());
  sure[3] = 0.0f;
  CHECK_NEAR(fit(sure, "a").ratio, kFloor, 1e-5);

  CtcAlignment alignment(kTokens, 8);
  alignment.advance(rows.data(), 3, kNumTokens);
  CHECK_NEAR(alignment.peak(0), std::log(0.95), 1e-5);
  CHECK_EQ(alignment.peak(1), 0.0f);
}

TEST(rows_beyond_the_longest_utterance_are_ignored_and_reset_forgets) {
  const std::vector<float> rows = rows_of({2, 3, 2}, kNumTokens);
  CtcAlignment alignment(kTokens, 2);
  alignment.advance(rows.data(), 3, kNumTokens);
  CHECK_EQ(alignment.num_rows(), 2);
  CHECK_NEAR(alignment.align("ab").ratio, 0.0, 1e-5);
  alignment.reset();
  CHECK_EQ(alignment.num_rows(), 0);
  alignment.advance(rows.data() + kNumTokens, 2, kNumTokens);
  CHECK_NEAR(alignment.align("ba").ratio, 0.0, 1e-5);
}

TEST(what_does_not_fit_is_refused) {
  CHECK_THROWS(CtcAlignment(kTokens, 0), "max_rows is 0");
  CHECK_THROWS(CtcAlignment(kTokens, 65537), "max_rows");
  CHECK_THROWS(CtcAlignment({"<blank>"}, 8), "1 tokens");
  CHECK_THROWS(CtcAlignment(std::vector<std::string>(257, "x"), 8), "257 tokens");
}

TEST(places_are_the_rows_of_the_best_path) {
  // "ab b": a in rows 1 to 2, b in row 3, then a blank and a space in row 5, b in row 6.
  const std::vector<float> rows = noisy_rows_of({0, 2, 2, 3, 0, 1, 3, 0}, kNumTokens, 0.1, 1);
  CtcAlignment alignment(kTokens, 64, true);
  alignment.advance(rows.data(), 8, kNumTokens);
  const float ratio = alignment.align("ab b").ratio;
  CHECK_NEAR(ratio, fit(rows, "ab b").ratio, 1e-6);
  const auto first = alignment.place(0, 2), second = alignment.place(3, 1);
  CHECK_EQ(first.begin_row, 1);
  CHECK_EQ(first.end_row, 4);
  CHECK_EQ(second.begin_row, 6);
  CHECK_EQ(second.end_row, 7);
  const auto nothing = alignment.place(9, 3);
  CHECK_EQ(nothing.end_row, 0);
  // What no token spells has no rows, and takes none from what stands around it.
  alignment.align("a1b? b");
  CHECK_EQ(alignment.place(0, 4).begin_row, 1);
  CHECK_EQ(alignment.place(0, 4).end_row, 4);
  CHECK_EQ(alignment.place(1, 1).end_row, 0);
}

TEST(what_was_heard_between_rows_is_counted) {
  const std::vector<float> rows = noisy_rows_of({0, 2, 2, 3, 0, 1, 3, 0}, kNumTokens, 0.1, 1);
  CtcAlignment alignment(kTokens, 64);
  alignment.advance(rows.data(), 8, kNumTokens);
  CHECK_EQ(alignment.num_heard(0, 8), 3);  // a, b and b; the space is none
  CHECK_EQ(alignment.num_heard(2, 4), 2);  // an a that began before counts as well
  CHECK_EQ(alignment.num_heard(4, 6), 0);
  CHECK_EQ(alignment.num_heard(3, 3), 0);
  CHECK(!alignment.is_blank());
  alignment.reset();
  CHECK(alignment.is_blank());
  alignment.advance(rows.data(), 1, kNumTokens);
  CHECK(alignment.is_blank());
  alignment.advance(rows.data() + 5 * kNumTokens, 1, kNumTokens);  // a space
  CHECK(!alignment.is_blank());
}

TEST(a_text_that_has_too_few_rows_is_spread_evenly) {
  const std::vector<float> rows = noisy_rows_of({2, 2, 3, 3}, kNumTokens, 0.1, 1);
  CtcAlignment alignment(kTokens, 64, true);
  alignment.advance(rows.data(), 4, kNumTokens);
  for (const char* text : {"aabbaabb", "aaaa"}) {  // the second: a blank is missing between letters
    alignment.align(text);
    const int length = static_cast<int>(std::string(text).size());
    int last = 0;
    for (int i = 0; i < length; ++i) {
      const auto place = alignment.place(static_cast<size_t>(i), 1);
      CHECK(place.begin_row >= last || place.end_row == 0);
      CHECK(place.end_row <= 4);
      last = std::max(last, place.begin_row);
    }
  }
  alignment.reset();
  alignment.align("ab");
  CHECK_EQ(alignment.place(0, 2).end_row, 0);
}
