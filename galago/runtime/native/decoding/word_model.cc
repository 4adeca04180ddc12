#include "decoding/word_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/byte_reader.h"
#include "base/status.h"

namespace galago {
namespace {

constexpr char kName[] = "word model";
constexpr uint32_t kVersion = 2;
constexpr uint32_t kMaxWords = 65'535;
constexpr uint32_t kMaxNodes = 4'000'000;
constexpr uint32_t kMaxContexts = 2'000'000;
constexpr uint32_t kMaxNgramBytes = 256'000'000;
constexpr uint32_t kMaxWordBytes = 64;
constexpr uint32_t kSlackBytes = 8;
constexpr float kMaxLevel = 1000.0f;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is read where it lies");

#define CORRUPT(...) fail(GALAGO_E_CORRUPT, "word model: " __VA_ARGS__)

template <typename T>
const T* take(ByteReader* reader, size_t count) {
  const size_t num_bytes = count * sizeof(T);
  const uint8_t* bytes = reader->take((num_bytes + 3) / 4 * 4);
  return reinterpret_cast<const T*>(bytes);
}

// `begin` has one entry more than there are things, rises, and ends with `count`.
template <typename Begin>
void check_ranges(const Begin& begin, size_t num_things, size_t count, const char* what) {
  if (begin[0] != 0 || begin[num_things] != count)
    CORRUPT("the %s do not fill their part of the file", what);
  for (size_t i = 0; i < num_things; ++i)
    if (begin[i] > begin[i + 1]) CORRUPT("the %s of entry %zu end before they begin", what, i);
}

}  // namespace

std::shared_ptr<const WordModel> WordModel::parse(std::shared_ptr<const void> owner,
                                                  const void* bytes, size_t num_bytes) {
  if (reinterpret_cast<uintptr_t>(bytes) % alignof(uint32_t) != 0)
    fail(GALAGO_E_INVALID_ARGUMENT, "word model: bytes must be aligned to 4");
  ByteReader reader(bytes, num_bytes, kName);
  if (std::memcmp(reader.take(4), "GWRD", 4) != 0) CORRUPT("does not begin with \"GWRD\"");
  const uint32_t version = reader.u32();
  if (version != kVersion)
    fail(GALAGO_E_UNSUPPORTED, "word model: version %u, this library reads %u", version, kVersion);
  std::shared_ptr<WordModel> model(new WordModel());
  model->owner_ = std::move(owner);
  model->num_words_ = reader.u32_in("the number of words", 3, kMaxWords);
  model->num_nodes_ = reader.u32_in("the number of nodes", 2, kMaxNodes);
  model->num_leaves_ = reader.u32_in("the number of leaves", 1, kMaxNodes);
  model->num_contexts_ = reader.u32_in("the number of contexts", 0, kMaxContexts);
  const uint32_t num_phones = reader.u32_in("the number of phones", 2, 255);
  const uint32_t names_bytes = reader.u32_in("the size of the names", 2, 4096);
  model->spellings_bytes_ =
      reader.u32_in("the size of the spellings", 1, kMaxWords * kMaxWordBytes);
  model->bigrams_bytes_ = reader.u32_in("the size of the bigrams", kSlackBytes, kMaxNgramBytes);
  model->trigrams_bytes_ = reader.u32_in("the size of the trigrams", kSlackBytes, kMaxNgramBytes);
  model->phones_ = reader.names(num_phones, names_bytes);
  reader.take((4 - names_bytes % 4) % 4);
  model->spelling_begin_ = take_places(&reader, model->num_words_);
  model->spellings_ = take<char>(&reader, model->spellings_bytes_);
  model->unigrams_ = take<int16_t>(&reader, model->num_words_);
  model->back_offs_ = take<int16_t>(&reader, model->num_words_);
  model->bigram_levels_ = take<float>(&reader, kNumLevels);
  model->context_levels_ = take<float>(&reader, kNumLevels);
  model->trigram_levels_ = take<float>(&reader, kNumLevels);
  model->bigram_begin_ = take<uint32_t>(&reader, model->num_words_ + 1);
  model->bigrams_ = take<uint8_t>(&reader, model->bigrams_bytes_);
  model->trigram_begin_ =
      take<uint32_t>(&reader, (model->num_contexts_ + kListsPerPlace - 1) / kListsPerPlace);
  model->trigrams_ = take<uint8_t>(&reader, model->trigrams_bytes_);
  model->child_begin_ = take_places(&reader, model->num_nodes_);
  model->word_begin_ = take_places(&reader, model->num_nodes_);
  model->node_phone_ = take<uint8_t>(&reader, model->num_nodes_);
  model->look_ahead_ = take<uint8_t>(&reader, model->num_nodes_);
  model->leaves_ = take<uint16_t>(&reader, model->num_leaves_);
  reader.expect_end();
  model->check();
  for (size_t word = 0; word < model->num_words_; ++word) {
    const size_t length = model->spelling(static_cast<uint16_t>(word)).size();
    model->longest_word_bytes_ = std::max(model->longest_word_bytes_, length);
  }
  return model;
}

WordModel::Places WordModel::take_places(ByteReader* reader, size_t num_things) {
  Places places;
  places.of_groups = take<uint32_t>(reader, num_things / kGroup + 1);
  places.within = take<uint16_t>(reader, num_things + 1);
  return places;
}

// After this every walk stays inside, and a path through the tree ends.
void WordModel::check() {
  check_ranges(spelling_begin_, num_words_, spellings_bytes_, "spellings");
  for (size_t word = 0; word < num_words_; ++word) {
    const size_t length = spelling_begin_[word + 1] - spelling_begin_[word];
    const bool is_boundary = word <= kSentenceEnd;
    if (is_boundary ? length != 0 : length == 0 || length > kMaxWordBytes)
      CORRUPT("word %zu has %zu letters", word, length);
    for (uint32_t i = spelling_begin_[word]; i < spelling_begin_[word + 1]; ++i)
      if (static_cast<unsigned char>(spellings_[i]) <= ' ')
        CORRUPT("word %zu is spelled with a space or a control character", word);
  }
  for (size_t i = 0; i < 3 * kNumLevels; ++i)
    if (!(std::fabs(bigram_levels_[i]) < kMaxLevel))
      CORRUPT("level %zu is no logarithm of a probability", i);
  std::vector<uint32_t> num_behind(num_words_);
  const std::vector<uint16_t> second_words = check_bigrams(&num_behind);
  check_trigrams(second_words, num_behind);
  check_tree();
}

std::vector<uint16_t> WordModel::check_bigrams(std::vector<uint32_t>* num_behind) {
  check_ranges(bigram_begin_, num_words_, bigrams_bytes_ - kSlackBytes, "bigrams");
  const auto limit = static_cast<uint32_t>(num_words_);
  listed_.assign(bigrams_bytes_ / 2 + 1, 0);
  std::vector<uint16_t> second_words, words_behind;
  for (size_t word = 0; word < num_words_; ++word) {
    const uint8_t* at = bigrams_ + bigram_begin_[word];
    const uint8_t* const end = bigrams_ + bigram_begin_[word + 1];
    if (at == end) continue;
    const uint32_t contexts_bytes = read_packed_number(&at);
    if (at >= end || static_cast<size_t>(end - at) <= contexts_bytes)
      CORRUPT("the contexts of word %zu do not end before its bigrams", word);
    const uint8_t* const bigrams = at + contexts_bytes;
    if (contexts_bytes > 0) {
      const size_t first = second_words.size();
      if (read_packed_number(&at) != first || at >= bigrams ||
          PackedList::check(at, bigrams, limit, &second_words) != bigrams)
        CORRUPT("the contexts of word %zu are no list", word);
    }
    words_behind.clear();
    if (PackedList::check(bigrams, end, limit, &words_behind) != end)
      CORRUPT("the words behind word %zu are no list", word);
    (*num_behind)[word] = static_cast<uint32_t>(words_behind.size());
    for (const uint16_t behind : words_behind) {
      const uint32_t hash = hash_of(behind);
      listed_[listed_at(static_cast<uint16_t>(word), hash)] |= bits_of(hash);
    }
  }
  if (second_words.size() != num_contexts_)
    CORRUPT("holds %zu contexts of %zu", second_words.size(), num_contexts_);
  return second_words;
}

void WordModel::check_trigrams(const std::vector<uint16_t>& second_words,
                               const std::vector<uint32_t>& num_behind) const {
  const uint8_t* at = trigrams_;
  const uint8_t* const end = trigrams_ + trigrams_bytes_ - kSlackBytes;
  for (size_t context = 0; context < num_contexts_; ++context) {
    if (context % kListsPerPlace == 0 &&
        trigram_begin_[context / kListsPerPlace] != static_cast<size_t>(at - trigrams_))
      CORRUPT("the trigrams of context %zu do not begin where they should", context);
    at = PackedList::check(at, end, num_behind[second_words[context]], nullptr);
    if (at == nullptr) CORRUPT("the words behind context %zu are no list", context);
  }
  if (at != end) CORRUPT("the trigrams do not fill their part of the file");
}

void WordModel::check_tree() const {
  check_ranges(word_begin_, num_nodes_, num_leaves_, "words of nodes");
  // Breadth first: the root is node 0, and each node's children lie behind it.
  check_ranges(child_begin_, num_nodes_, num_nodes_ - 1, "children");
  for (uint32_t node = 0; node < num_nodes_; ++node) {
    if (first_child(node) <= node) CORRUPT("node %u has children that are not behind it", node);
    const bool has_no_sound = node_phone_[node] == 0;
    if (node_phone_[node] >= phones_.size() || (node != kRoot && has_no_sound))
      CORRUPT("node %u has phone %d", node, node_phone_[node]);
  }
  for (size_t leaf = 0; leaf < num_leaves_; ++leaf)
    if (leaves_[leaf] >= num_words_ || leaves_[leaf] <= kSentenceEnd)
      CORRUPT("leaf %zu is word %d of %zu", leaf, leaves_[leaf], num_words_);
  if (word_begin_[kRoot + 1] != 0) CORRUPT("a word without a sound");
}

bool WordModel::has_word(std::string_view spelled) const {
  for (size_t word = kSentenceEnd + 1; word < num_words_; ++word)
    if (spelling(static_cast<uint16_t>(word)) == spelled) return true;
  return false;
}

PackedList WordModel::trigrams_of(uint32_t context) const {
  PackedList list(trigrams_ + trigram_begin_[context / kListsPerPlace]);
  for (uint32_t i = 0; i < context % kListsPerPlace; ++i) list = PackedList(list.end());
  return list;
}

float WordModel::log_prob(const History& history, uint16_t word, History* next) const {
  *next = after(word);
  float log_prob = kUnigramStep * (static_cast<float>(unigrams_[word]) +
                                   static_cast<float>(back_offs_[history.word]));
  const uint8_t* at = bigrams_ + bigram_begin_[history.word];
  PackedList::Entry bigram, found;
  bool is_listed = false;
  if (may_be_listed(history.word, word)) {
    const uint32_t contexts_bytes = read_packed_number(&at);
    is_listed = PackedList(at + contexts_bytes).find(word, &bigram);
    if (is_listed) {
      log_prob = bigram_levels_[bigram.value];
      if (contexts_bytes > 0) {
        const uint32_t first = read_packed_number(&at);
        if (PackedList(at).find(word, &found)) *next = {first + found.index + 1, word, found.value};
      }
    }
  }
  if (history.context == 0) return log_prob;
  // Whatever follows two words follows the second one.
  if (is_listed && trigrams_of(history.context - 1).find(bigram.index, &found))
    return trigram_levels_[found.value];
  return context_levels_[history.back_off] + log_prob;
}

}  // namespace galago
