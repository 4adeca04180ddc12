// What a word model tells, and that no bytes make it read elsewhere.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "check.h"
#include "decoding/word_model.h"
#include "decoding/word_model_builder.h"

namespace {

using galago::WordModel;

// Where the parts of a file begin that has these sizes in its header; see word_model.h.
struct Parts {
  size_t spelling_begin, spellings, levels, bigram_begin, bigrams, trigram_begin, trigrams;
  size_t child_begin, word_begin, phones, leaves;

  explicit Parts(const Bytes& bytes) {
    const auto size = [&](size_t i) {
      uint32_t value;
      std::memcpy(&value, bytes.data() + 8 + 4 * i, 4);
      return size_t{value};
    };
    const size_t words = size(0), nodes = size(1);
    size_t at = 44;
    const auto part = [&](size_t num_bytes) {
      const size_t begin = at;
      at += (num_bytes + 3) / 4 * 4;
      return begin;
    };
    // Where those within the first group begin, that at 0.
    const auto places = [&](size_t num_things) {
      part(4 * (num_things / 64 + 1));
      return part(2 * (num_things + 1));
    };
    part(size(5));
    spelling_begin = places(words);
    spellings = part(size(6));
    part(2 * words);
    part(2 * words);
    levels = part(3 * 16 * 4);
    bigram_begin = part(4 * (words + 1));
    bigrams = part(size(7));
    trigram_begin = part((size(3) + 15) / 16 * 4);
    trigrams = part(size(8));
    child_begin = places(nodes);
    word_begin = places(nodes);
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
  CHECK_NEAR(log_prob(*model, {tiny.want, tiny.to}), -0.5, 1e-6);
  CHECK_NEAR(log_prob(*model, {tiny.want, tiny.two}), -2.0, 1e-6);
  CHECK_NEAR(log_prob(*model, {tiny.want, tiny.too}), -1.5 - 3.5, 1e-3);
  CHECK_NEAR(log_prob(*model, {tiny.car, tiny.too}), -3.5, 1e-3);
  CHECK_NEAR(log_prob(*model, {WordModel::kSentenceBegin, tiny.want}), -1.0, 1e-6);
  CHECK_NEAR(log_prob(*model, {WordModel::kSentenceBegin, tiny.car}), -3.0, 1e-3);
  CHECK_NEAR(log_prob(*model, {tiny.too, WordModel::kSentenceEnd}), -0.25, 1e-6);
  CHECK_NEAR(log_prob(*model, {tiny.at, WordModel::kSentenceEnd}), -3.0, 1e-3);
}

TEST(a_listed_trigram_counts_and_any_other_backs_off_to_the_bigram) {
  const TinyWords tiny;
  const auto model = tiny.builder.parse();
  CHECK_NEAR(log_prob(*model, {tiny.want, tiny.to, tiny.too}), -0.25, 1e-6);
  CHECK_NEAR(log_prob(*model, {tiny.want, tiny.to, tiny.car}), -0.75 - 3.0, 1e-3);
  CHECK_NEAR(log_prob(*model, {tiny.at, tiny.to, tiny.too}), -3.0, 1e-6);
  CHECK_NEAR(log_prob(*model, {WordModel::kSentenceBegin, tiny.want, tiny.two}), -1.25, 1e-6);
  CHECK_NEAR(log_prob(*model, {WordModel::kSentenceBegin, tiny.want, tiny.to}), -0.5, 1e-6);
}

// Histories that lead to the same probabilities are one: the search need not keep them apart.
TEST(only_two_words_that_a_trigram_begins_with_are_a_context) {
  const TinyWords tiny;
  const auto model = tiny.builder.parse();
  const auto after = [&](uint16_t first, uint16_t second) {
    WordModel::History history;
    model->log_prob(WordModel::after(first), second, &history);
    CHECK_EQ(history.word, second);
    return history;
  };
  CHECK(after(tiny.at, tiny.to) == WordModel::after(tiny.to));
  CHECK(after(tiny.car, tiny.two) == after(tiny.at, tiny.two));
  CHECK(!(after(tiny.want, tiny.to) == WordModel::after(tiny.to)));
  CHECK(!(after(WordModel::kSentenceBegin, tiny.want) == WordModel::after(tiny.want)));
}

// Longer than a block of a list, and than a group of lists.
TEST(many_words_behind_many_others_are_found) {
  WordModelBuilder builder("_abcdefghijklmnopqrstuvwxyz");
  constexpr uint16_t kNumWords = 300;
  std::vector<uint16_t> words;
  for (uint16_t i = 0; i < kNumWords; ++i) {
    const std::string sounds = {static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26)};
    words.push_back(builder.add_word(sounds, {sounds}, -6.0f));
  }
  const auto bigram = [&](size_t i, size_t k) { return i % 3 == 0 || (i * k) % 7 == 1; };
  const auto level = [](size_t i) { return -0.5f * static_cast<float>(i % 16); };
  for (size_t i = 0; i < kNumWords; ++i) {
    for (size_t k = 0; k < kNumWords; ++k)
      if (bigram(i, k)) builder.add_bigram(words[i], words[k], level(i + k));
  }
  const auto trigram = [&](size_t g, size_t i, size_t k) {
    return bigram(g, i) && bigram(i, k) && i % 5 == 0 && g < 50 && (g + i + k) % 4 == 0;
  };
  for (size_t g = 0; g < 50; ++g) {
    for (size_t i = 0; i < kNumWords; ++i) {
      for (size_t k = 0; k < kNumWords; ++k)
        if (trigram(g, i, k)) builder.add_trigram(words[g], words[i], words[k], level(g + i + k));
    }
  }
  const auto model = builder.parse();
  size_t num_trigrams = 0;
  for (size_t g = 0; g < 50; ++g) {
    for (size_t i = 0; i < kNumWords; ++i) {
      WordModel::History history, next;
      const float first = model->log_prob(WordModel::after(words[g]), words[i], &history);
      CHECK_NEAR(first, bigram(g, i) ? level(g + i) : -6.0f, 1e-3);
      for (size_t k = 0; k < kNumWords; ++k) {
        const bool is_listed = trigram(g, i, k);
        num_trigrams += is_listed ? 1 : 0;
        const float expected = is_listed ? level(g + i + k) : bigram(i, k) ? level(i + k) : -6.0f;
        CHECK_NEAR(model->log_prob(history, words[k], &next), expected, 1e-3);
      }
    }
  }
  CHECK(num_trigrams > 10'000);
}

// Every path from the root spells the phones of the words at its end, and the look-ahead is that of
// the likeliest word below.
void walk(const WordModel& model, uint32_t node, const std::string& phones,
          std::vector<std::string>* found, float* best) {
  for (uint32_t i = model.first_word(node); i < model.first_word(node + 1); ++i) {
    found->push_back(phones + "=" + std::string(model.spelling(model.word(i))));
    *best = std::max(*best, log_prob(model, {model.word(i), model.word(i)}));
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
  CHECK_NEAR(log_prob(*builder.parse(), {word, word}), -1.0, 1e-3);
}

TEST(what_is_damaged_is_said) {
  const TinyWords tiny;
  const Bytes whole = tiny.builder.bytes();
  const Parts parts(whole);
  check_corrupt(with_byte(whole, 0, 'X'), "GWRD");
  check_corrupt(with_byte(whole, 8, 2), "number of words");
  check_corrupt(with_byte(whole, parts.spelling_begin, 1), "spellings");
  check_corrupt(with_byte(whole, parts.spelling_begin + 2 * 4, 200), "spellings of entry 4");
  check_corrupt(with_byte(whole, parts.spelling_begin + 2 * 4, 2), "word 3 has 0 letters");
  check_corrupt(with_byte(whole, parts.spellings + 1, ' '), "word 2 is spelled with a space");
  check_corrupt(with_byte(whole, parts.spellings + 1, 0), "word 2 is spelled with a space");
  check_corrupt(with_byte(whole, parts.levels + 4 * 17 + 3, 0x7F), "level 17");
  check_corrupt(with_byte(whole, parts.bigram_begin + 4 * 11, 1), "bigrams");
  // Behind the beginning stands "want", which makes a context with it: the bytes of its contexts,
  // their first one's number, how many there are, the bytes of the only block; then the same of the
  // words behind.
  check_corrupt(with_byte(whole, parts.bigrams, 100), "contexts of word 0 do not end");
  check_corrupt(with_byte(whole, parts.bigrams + 1, 1), "contexts of word 0 are no list");
  check_corrupt(with_byte(whole, parts.bigrams + 2, 2), "contexts of word 0 are no list");
  check_corrupt(with_byte(whole, parts.bigrams + 3, 3), "contexts of word 0 are no list");
  const size_t behind = parts.bigrams + 1 + whole[parts.bigrams];
  check_corrupt(with_byte(whole, behind, 2), "words behind word 0 are no list");
  check_corrupt(with_byte(whole, behind, 0), "words behind word 0 are no list");
  check_corrupt(with_byte(whole, parts.trigram_begin, 1), "trigrams of context 0 do not begin");
  check_corrupt(with_byte(whole, parts.trigrams, 9), "words behind context 0");
  check_corrupt(with_byte(whole, parts.child_begin, 1), "children");
  check_corrupt(with_byte(whole, parts.child_begin + 2, 0), "node 1 has children");
  Bytes silent = whole;
  for (size_t node = 1; silent[parts.word_begin + 2 * node] == 0; ++node)
    silent[parts.word_begin + 2 * node] = 1;
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
  const Bytes bytes = with_byte(TinyWords().builder.bytes(), 4, 1);
  std::string message;
  CHECK_EQ(status_of(bytes, &message), GALAGO_E_UNSUPPORTED);
  CHECK(message.find("version 1") != std::string::npos);
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
