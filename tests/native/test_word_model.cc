// What a word model tells, and that no bytes make it read elsewhere.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "status.h"
#include "word_model.h"
#include "word_model_builder.h"

namespace {

using galago::WordModel;

// Where the parts of a file begin that has these sizes in its header; see word_model.h.
struct Parts {
  size_t spelling_begin, spellings, bigram_begin, bigram_words, child_begin, word_begin, phones,
      leaves;

  explicit Parts(const Bytes& bytes) {
    const auto size = [&](size_t i) {
      uint32_t value;
      std::memcpy(&value, bytes.data() + 8 + 4 * i, 4);
      return size_t{value};
    };
    const size_t words = size(0), nodes = size(1), bigrams = size(3);
    size_t at = 36;
    const auto part = [&](size_t num_bytes) {
      const size_t begin = at;
      at += (num_bytes + 3) / 4 * 4;
      return begin;
    };
    part(size(5));
    spelling_begin = part(4 * (words + 1));
    spellings = part(size(6));
    part(2 * words);
    part(2 * words);
    bigram_begin = part(4 * (words + 1));
    bigram_words = part(2 * bigrams);
    part(bigrams);
    child_begin = part(4 * (nodes + 1));
    word_begin = part(4 * (nodes + 1));
    phones = part(nodes);
    part(nodes);
    leaves = part(2 * size(2));
    CHECK_EQ(at, bytes.size());
  }
};

// The status and the message of what reading these bytes answers.
galago_status status_of(const Bytes& bytes, std::string* message = nullptr) {
  try {
    read_all(*parse_word_model(bytes.data(), bytes.size()));
    return GALAGO_OK;
  } catch (const galago::Error& error) {
    if (message != nullptr) *message = error.what();
    return error.status();
  }
}

Bytes with_byte(Bytes bytes, size_t at, uint8_t value) {
  bytes[at] = value;
  return bytes;
}

void check_corrupt(const Bytes& bytes, const char* part) {
  std::string message;
  CHECK_EQ(status_of(bytes, &message), GALAGO_E_CORRUPT);
  if (message.find("word model: ") != 0 || message.find(part) == std::string::npos)
    check::failure(__FILE__, __LINE__) << "expected \"" << part << "\": " << message << "\n";
}

TEST(words_phones_and_sizes_are_read_back) {
  const TinyWords tiny;
  const auto model = tiny.builder.parse();
  CHECK_EQ(model->num_words(), 11u);
  CHECK_EQ(model->phones().size(), 27u);
  CHECK_EQ(model->phones()[0], "_");
  CHECK_EQ(model->phones()[26], "z");
  CHECK_EQ(model->spelling(WordModel::kSentenceBegin), "");
  CHECK_EQ(model->spelling(WordModel::kSentenceEnd), "");
  CHECK_EQ(model->spelling(tiny.to), "to");
  CHECK_EQ(model->spelling(tiny.either), "either");
  CHECK_EQ(model->longest_word_bytes(), 6u);
  CHECK(model->has_word("carpet"));
  CHECK(!model->has_word("carp"));
  CHECK(!model->has_word(""));
}

TEST(a_listed_bigram_counts_and_any_other_backs_off) {
  const TinyWords tiny;
  const auto model = tiny.builder.parse();
  CHECK_NEAR(model->log_prob(tiny.want, tiny.to), -0.5, 1.0 / 24);
  CHECK_NEAR(model->log_prob(tiny.want, tiny.two), -2.0, 1.0 / 24);
  CHECK_NEAR(model->log_prob(tiny.want, tiny.too), -1.5 - 3.5, 1e-3);
  CHECK_NEAR(model->log_prob(tiny.car, tiny.too), -3.5, 1e-3);
  CHECK_NEAR(model->log_prob(WordModel::kSentenceBegin, tiny.want), -1.0, 1.0 / 24);
  CHECK_NEAR(model->log_prob(WordModel::kSentenceBegin, tiny.car), -3.0, 1e-3);
  CHECK_NEAR(model->log_prob(tiny.too, WordModel::kSentenceEnd), -0.25, 1.0 / 24);
  CHECK_NEAR(model->log_prob(tiny.at, WordModel::kSentenceEnd), -3.0, 1e-3);
}

TEST(bigrams_of_improbable_words_end_at_what_a_byte_holds) {
  TinyWords tiny;
  tiny.builder.add_bigram(tiny.car, tiny.pet, -100.0f);
  CHECK_NEAR(tiny.builder.parse()->log_prob(tiny.car, tiny.pet), -255.0 / 12, 1e-4);
}

// Every path from the root spells the phones of the words at its end, and the look-ahead is that of
// the likeliest word below.
void walk(const WordModel& model, uint32_t node, const std::string& phones,
          std::vector<std::string>* found, float* best) {
  for (uint32_t i = model.first_word(node); i < model.first_word(node + 1); ++i) {
    found->push_back(phones + "=" + std::string(model.spelling(model.word(i))));
    *best = std::max(*best, model.log_prob(model.word(i), model.word(i)));
  }
  for (uint32_t child = model.first_child(node); child < model.first_child(node + 1); ++child) {
    float best_of_child = -1e9f;
    walk(model, child, phones + model.phones()[model.phone(child)], found, &best_of_child);
    *best = std::max(*best, best_of_child);
  }
  CHECK_NEAR(model.look_ahead(node), *best, 1.0 / 24 + 1e-3);
}

TEST(the_tree_leads_to_every_word_and_looks_ahead_to_the_likeliest) {
  TinyWords tiny;
  // log_prob(word, word) is its unigram: no word follows itself, none backs off.
  tiny.builder.set_back_off(tiny.want, 0.0f);
  tiny.builder.set_back_off(tiny.at, 0.0f);
  const auto model = tiny.builder.parse();
  std::vector<std::string> found;
  float best = -1e9f;
  walk(*model, WordModel::kRoot, "", &found, &best);
  std::sort(found.begin(), found.end());
  const std::vector<std::string> expected = {"aitha=either",  "at=at",    "itha=either", "kar=car",
                                             "karpet=carpet", "pet=pet",  "tu=to",       "tu=too",
                                             "tu=two",        "wont=want"};
  CHECK(found == expected);
}

TEST(a_model_without_bigrams_is_one) {
  WordModelBuilder builder("_ab");
  const uint16_t word = builder.add_word("ab", {"ab"}, -1.0f);
  CHECK_NEAR(builder.parse()->log_prob(word, word), -1.0, 1e-3);
}

TEST(what_is_damaged_is_said) {
  const TinyWords tiny;
  const Bytes whole = tiny.builder.bytes();
  const Parts parts(whole);
  check_corrupt(with_byte(whole, 0, 'X'), "GWRD");
  check_corrupt(with_byte(whole, 8, 2), "number of words");
  check_corrupt(with_byte(whole, parts.spelling_begin, 1), "spellings");
  check_corrupt(with_byte(whole, parts.spelling_begin + 4 * 4, 200), "spellings of entry 4");
  check_corrupt(with_byte(whole, parts.spelling_begin + 4 * 4, 2), "word 3 has 0 letters");
  check_corrupt(with_byte(whole, parts.spellings + 1, ' '), "word 2 is spelled with a space");
  check_corrupt(with_byte(whole, parts.spellings + 1, 0), "word 2 is spelled with a space");
  check_corrupt(with_byte(whole, parts.bigram_begin + 4 * 11, 1), "bigrams");
  // Behind word 8, "at", stands "two"; behind "want" stand "to" and "two".
  check_corrupt(with_byte(whole, parts.bigram_words + 1, 1), "stands word");
  const size_t behind_want = parts.bigram_words + 2 * 4;
  check_corrupt(with_byte(whole, behind_want, static_cast<uint8_t>(tiny.two)), "do not rise");
  check_corrupt(with_byte(whole, parts.child_begin, 0), "tree");
  check_corrupt(with_byte(whole, parts.child_begin + 4, 1), "node 1 has children");
  Bytes silent = whole;
  for (size_t node = 1; silent[parts.word_begin + 4 * node] == 0; ++node)
    silent[parts.word_begin + 4 * node] = 1;
  check_corrupt(silent, "without a sound");
  check_corrupt(with_byte(whole, parts.phones + 1, 0), "node 1 has phone 0");
  check_corrupt(with_byte(whole, parts.phones + 1, 27), "node 1 has phone 27");
  check_corrupt(with_byte(whole, parts.leaves, 1), "leaf 0 is word 1");
  check_corrupt(with_byte(whole, parts.leaves, 11), "leaf 0 is word 11");
  Bytes longer = whole;
  longer.resize(longer.size() + 4);
  check_corrupt(longer, "4 bytes too many");
}

TEST(another_version_is_not_supported) {
  const Bytes bytes = with_byte(TinyWords().builder.bytes(), 4, 2);
  std::string message;
  CHECK_EQ(status_of(bytes, &message), GALAGO_E_UNSUPPORTED);
  CHECK(message.find("version 2") != std::string::npos);
}

TEST(bytes_that_do_not_lie_as_needed_are_refused) {
  const Bytes whole = TinyWords().builder.bytes();
  Bytes shifted(whole.size() + 1);
  std::copy(whole.begin(), whole.end(), shifted.begin() + 1);
  CHECK_THROWS(WordModel::parse(nullptr, shifted.data() + 1, whole.size()), "aligned to 4");
}

TEST(a_model_keeps_its_owner_and_no_longer_than_it_lives) {
  const Bytes whole = TinyWords().builder.bytes();
  auto owner = std::make_shared<Bytes>(whole);
  const std::weak_ptr<Bytes> watched = owner;
  auto model = WordModel::parse(owner, owner->data(), owner->size());
  owner.reset();
  CHECK(!watched.expired());
  CHECK_EQ(model->spelling(2), "to");
  model.reset();
  CHECK(watched.expired());
}

TEST(every_shorter_file_is_corrupt) {
  const Bytes whole = TinyWords().builder.bytes();
  for (size_t size = 0; size < whole.size(); ++size)
    CHECK_EQ(status_of(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))),
             GALAGO_E_CORRUPT);
}

// Read back or refused: under a sanitizer this is the proof that check() keeps every walk inside.
TEST(every_changed_byte_is_read_or_refused) {
  const Bytes whole = TinyWords().builder.bytes();
  size_t num_read = 0, num_refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const uint8_t change : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      const galago_status status =
          status_of(with_byte(whole, at, static_cast<uint8_t>(whole[at] ^ change)));
      CHECK(status == GALAGO_OK || status == GALAGO_E_CORRUPT || status == GALAGO_E_UNSUPPORTED);
      ++(status == GALAGO_OK ? num_read : num_refused);
    }
  }
  CHECK(num_read > 1000);  // letters, probabilities
  CHECK(num_refused > 1000);
}

}  // namespace
