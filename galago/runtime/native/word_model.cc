#include "word_model.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "byte_reader.h"
#include "status.h"

namespace galago {
namespace {

constexpr char kName[] = "word model";
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMaxWords = 65'535;
constexpr uint32_t kMaxNodes = 4'000'000;
constexpr uint32_t kMaxBigrams = 64'000'000;
constexpr uint32_t kMaxWordBytes = 64;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is read where it lies");

#define CORRUPT(...) fail(GALAGO_E_CORRUPT, "word model: " __VA_ARGS__)

template <typename T>
const T* take(ByteReader* reader, size_t count) {
  const size_t num_bytes = count * sizeof(T);
  const uint8_t* bytes = reader->take((num_bytes + 3) / 4 * 4);
  return reinterpret_cast<const T*>(bytes);
}

// `begin` has one entry more than there are things, rises, and ends with `count`.
void check_ranges(const uint32_t* begin, size_t num_things, size_t count, const char* what) {
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
  model->num_bigrams_ = reader.u32_in("the number of bigrams", 0, kMaxBigrams);
  const uint32_t num_phones = reader.u32_in("the number of phones", 2, 255);
  const uint32_t names_bytes = reader.u32_in("the size of the names", 2, 4096);
  model->spellings_bytes_ =
      reader.u32_in("the size of the spellings", 1, kMaxWords * kMaxWordBytes);
  model->phones_ = reader.names(num_phones, names_bytes);
  reader.take((4 - names_bytes % 4) % 4);
  model->spelling_begin_ = take<uint32_t>(&reader, model->num_words_ + 1);
  model->spellings_ = take<char>(&reader, model->spellings_bytes_);
  model->unigrams_ = take<int16_t>(&reader, model->num_words_);
  model->back_offs_ = take<int16_t>(&reader, model->num_words_);
  model->bigram_begin_ = take<uint32_t>(&reader, model->num_words_ + 1);
  model->bigram_words_ = take<uint16_t>(&reader, model->num_bigrams_);
  model->bigrams_ = take<uint8_t>(&reader, model->num_bigrams_);
  model->child_begin_ = take<uint32_t>(&reader, model->num_nodes_ + 1);
  model->word_begin_ = take<uint32_t>(&reader, model->num_nodes_ + 1);
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

// After this every walk stays inside, and a path through the tree ends.
void WordModel::check() const {
  check_ranges(spelling_begin_, num_words_, spellings_bytes_, "spellings");
  check_ranges(bigram_begin_, num_words_, num_bigrams_, "bigrams");
  check_ranges(word_begin_, num_nodes_, num_leaves_, "words of nodes");
  for (size_t word = 0; word < num_words_; ++word) {
    const size_t length = spelling_begin_[word + 1] - spelling_begin_[word];
    const bool is_boundary = word <= kSentenceEnd;
    if (is_boundary ? length != 0 : length == 0 || length > kMaxWordBytes)
      CORRUPT("word %zu has %zu letters", word, length);
    for (uint32_t i = spelling_begin_[word]; i < spelling_begin_[word + 1]; ++i)
      if (static_cast<unsigned char>(spellings_[i]) <= ' ')
        CORRUPT("word %zu is spelled with a space or a control character", word);
    for (uint32_t i = bigram_begin_[word]; i < bigram_begin_[word + 1]; ++i) {
      if (bigram_words_[i] >= num_words_)
        CORRUPT("behind word %zu stands word %d of %zu", word, bigram_words_[i], num_words_);
      if (i > bigram_begin_[word] && bigram_words_[i] <= bigram_words_[i - 1])
        CORRUPT("the words behind word %zu do not rise", word);
    }
  }
  // Breadth first: the root is node 0, and each node's children lie behind it.
  if (child_begin_[0] != 1 || child_begin_[num_nodes_] != num_nodes_)
    CORRUPT("the tree does not hold its nodes");
  for (size_t node = 0; node < num_nodes_; ++node) {
    if (child_begin_[node] > child_begin_[node + 1] || child_begin_[node] <= node)
      CORRUPT("node %zu has children that are not behind it", node);
    const bool has_no_sound = node_phone_[node] == 0;
    if (node_phone_[node] >= phones_.size() || (node != kRoot && has_no_sound))
      CORRUPT("node %zu has phone %d", node, node_phone_[node]);
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

float WordModel::log_prob(uint16_t before, uint16_t word) const {
  const uint16_t* const begin = bigram_words_ + bigram_begin_[before];
  const uint16_t* const end = bigram_words_ + bigram_begin_[before + 1];
  const uint16_t* const found = std::lower_bound(begin, end, word);
  if (found != end && *found == word)
    return kStep * static_cast<float>(bigrams_[found - bigram_words_]);
  return kUnigramStep *
         (static_cast<float>(unigrams_[word]) + static_cast<float>(back_offs_[before]));
}

}  // namespace galago
