// Writing as rows come, and going on from what was written before, of random weights.
#include "decoding/piece_decoder.h"

#include <set>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/piece_model_builder.h"

using galago::PieceDecoder;

namespace {

constexpr size_t kMostRows = 96, kMostPieces = 64, kMost = 12;
constexpr unsigned kSeeds = 20;
constexpr size_t kWidth = PieceModelBuilder::kWidth;

struct Fixture {
  explicit Fixture(unsigned seed) : builder(seed), rows(builder.rows(kMostRows)), decoder(make()) {}

  PieceDecoder make() const { return PieceDecoder(builder.parse(), kMostRows, kMostPieces); }
  std::string write(PieceDecoder* one, size_t begin, size_t end) const {
    one->hear(rows.data() + begin * kWidth, end - begin);
    one->write(kMost);
    return std::string(one->text());
  }

  PieceModelBuilder builder;
  std::vector<float> rows;
  PieceDecoder decoder;
};

std::string joined_words(const PieceDecoder& decoder) {
  std::string text;
  for (const PieceDecoder::Word& word : decoder.words()) {
    if (!text.empty()) text += ' ';
    text += decoder.text().substr(word.text_begin, word.text_bytes);
  }
  return text;
}

std::string first_words(const PieceDecoder& decoder, size_t count) {
  if (count == 0) return "";
  const PieceDecoder::Word& last = decoder.words()[count - 1];
  return std::string(decoder.text().substr(0, last.text_begin + last.text_bytes));
}

}  // namespace

TEST(rows_may_come_in_any_parts) {
  std::set<std::string> texts;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Fixture fixture(seed);
    const std::string whole = fixture.write(&fixture.decoder, 0, 60);
    CHECK_EQ(joined_words(fixture.decoder), whole);
    PieceDecoder other = fixture.make();
    for (size_t row = 0; row < 53; ++row) other.hear(fixture.rows.data() + row * kWidth, 1);
    CHECK_EQ(fixture.write(&other, 53, 60), whole);
    fixture.decoder.reset();
    CHECK_EQ(fixture.decoder.text(), "");
    CHECK_EQ(fixture.write(&fixture.decoder, 0, 60), whole);
    texts.insert(whole);
  }
  CHECK(texts.size() > kSeeds / 2);  // they say something, and not all the same
}

TEST(what_two_texts_begin_with_stays) {
  size_t num_agreed = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Fixture fixture(seed);
    PieceDecoder& decoder = fixture.decoder;
    std::string agreed;
    for (size_t begin = 0; begin < 90; begin += 15) {
      const std::string text = fixture.write(&decoder, begin, begin + 15);
      CHECK_EQ(text.substr(0, agreed.size()), agreed);
      decoder.agree();
      CHECK(decoder.num_agreed_words() <= decoder.words().size());
      agreed = first_words(decoder, decoder.num_agreed_words());
    }
    num_agreed += decoder.num_agreed_words();
  }
  CHECK(num_agreed > 0);
}

TEST(one_that_goes_on_may_be_written_alone) {
  size_t num_different = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Fixture fixture(seed);
    PieceDecoder& decoder = fixture.decoder;
    fixture.write(&decoder, 0, 40);
    decoder.go_on(36);
    CHECK_EQ(decoder.text(), "");
    CHECK_EQ(decoder.num_rows(), 0u);
    const std::string behind = fixture.write(&decoder, 0, 80);
    CHECK_EQ(joined_words(decoder), behind);
    CHECK_EQ(decoder.num_agreed_words(), 0u);
    CHECK(!decoder.begins_otherwise());
    decoder.write_alone(kMost);
    const std::string alone(decoder.text());
    CHECK_EQ(joined_words(decoder), alone);
    PieceDecoder fresh = fixture.make();
    CHECK_EQ(fixture.write(&fresh, 36, 80), alone);
    decoder.take_back();
    CHECK_EQ(decoder.text(), behind);
    num_different += behind != alone;

    decoder.keep_words(0);
    CHECK_EQ(decoder.text(), "");
    fresh.reset();
    CHECK(!fresh.has_gone_on());
  }
  CHECK(num_different > kSeeds / 2);
}

TEST(without_anything_written_there_is_nothing_to_go_on_from) {
  Fixture fixture(3);
  const std::string text = fixture.write(&fixture.decoder, 0, 40);
  fixture.decoder.reset();
  fixture.decoder.go_on(0);
  CHECK(!fixture.decoder.has_gone_on());
  CHECK_EQ(fixture.write(&fixture.decoder, 0, 40), text);
}

TEST(the_agreed_part_of_one_that_goes_on_stays_when_it_is_written_alone) {
  size_t num_agreed = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Fixture fixture(seed);
    PieceDecoder& decoder = fixture.decoder;
    fixture.write(&decoder, 0, 30);
    decoder.go_on(30);
    fixture.write(&decoder, 0, 60);
    decoder.agree();
    fixture.write(&decoder, 60, 61);
    decoder.agree();
    num_agreed += decoder.num_agreed_words();
    const std::string agreed = first_words(decoder, decoder.num_agreed_words());
    decoder.write_alone(kMost);
    CHECK_EQ(std::string(decoder.text().substr(0, agreed.size())), agreed);
  }
  CHECK(num_agreed > 0);
}

TEST(behind_the_first_words_it_is_written_of_later_rows_alone) {
  size_t num_words = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Fixture fixture(seed);
    PieceDecoder& decoder = fixture.decoder;
    const std::string whole = fixture.write(&decoder, 0, 60);
    const size_t kept = decoder.words().size() / 2;
    const std::string begin = first_words(decoder, kept);
    decoder.write_behind(kept, 25, kMost);
    const std::string text(decoder.text());
    CHECK_EQ(joined_words(decoder), text);
    CHECK_EQ(text.substr(0, begin.size()), begin);
    CHECK(text.size() == begin.size() || kept == 0 || text[begin.size()] == ' ');
    num_words += decoder.words().size() - kept;
    decoder.take_back();
    CHECK_EQ(decoder.text(), whole);
    decoder.write_behind(0, 25, kMost);
    PieceDecoder fresh = fixture.make();
    CHECK_EQ(decoder.text(), fixture.write(&fresh, 25, 60));
    decoder.write_behind(100, 60, kMost);  // there are no rows left
    CHECK_EQ(decoder.text(), fresh.text());
  }
  CHECK(num_words > kSeeds);
}
