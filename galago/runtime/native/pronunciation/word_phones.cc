#include "pronunciation/word_phones.h"

#include <algorithm>

#include "base/status.h"
#include "pronunciation/heteronyms.h"

namespace galago {
namespace {

constexpr size_t kMaxKept = 1024;  // readings of unknown words

template <size_t N>
bool is_among(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

constexpr std::string_view kSibilants[] = {"S", "Z", "SH", "ZH", "CH", "JH"};
constexpr std::string_view kVoiceless[] = {"P", "T", "K", "F", "TH", "S", "SH", "CH", "HH"};

bool ends_with(std::string_view text, std::string_view ending) {
  return text.size() > ending.size() && text.substr(text.size() - ending.size()) == ending;
}

// Possible stems of a word with a regular ending, the likeliest first.
struct Stem {
  std::string stem;
  std::string_view ending;  // "s", "ed", "ing" or nothing
};
std::vector<Stem> stems_of(std::string_view word) {
  std::vector<Stem> stems;
  const auto add = [&](std::string stem, std::string_view ending) {
    if (stem.size() >= 2) stems.push_back({std::move(stem), ending});
  };
  const auto without = [&](size_t n) { return std::string(word.substr(0, word.size() - n)); };
  const auto add_verbs = [&](size_t n, std::string_view ending) {
    const std::string stem = without(n);
    add(stem, ending);
    add(stem + "e", ending);
    const size_t last = stem.size() - 1;
    if (stem.size() > 2 && stem[last] == stem[last - 1]) add(stem.substr(0, last), ending);
  };
  if (ends_with(word, "'s")) {
    add(without(2), "s");
  } else if (ends_with(word, "s'")) {
    add(without(1), "");
    add(without(2), "s");
  } else if (ends_with(word, "'")) {
    add(without(1), "");
  } else if (ends_with(word, "s") && !ends_with(word, "ss")) {
    add(without(1), "s");
    if (ends_with(word, "es")) add(without(2), "s");
    if (ends_with(word, "ies")) add(without(3) + "y", "s");
  } else if (ends_with(word, "ed")) {
    add_verbs(2, "ed");
    if (ends_with(word, "ied")) add(without(3) + "y", "ed");
  } else if (ends_with(word, "ing")) {
    add_verbs(3, "ing");
  }
  return stems;
}

}  // namespace

WordPhones::WordPhones(const Pronunciations& dictionary, const G2p* g2p)
    : dictionary_(dictionary), g2p_(g2p) {
  for (const std::string& phone : dictionary.phones()) {
    const bool has_stress = phone.size() > 1 && phone.back() >= '0' && phone.back() <= '2';
    is_vowel_.push_back(has_stress);
    is_voiceless_.push_back(is_among(phone, kVoiceless));
    is_sibilant_.push_back(is_among(phone, kSibilants));
  }
  s_ = row("S"), z_ = row("Z"), t_ = row("T"), d_ = row("D"), ih0_ = row("IH0"), ng_ = row("NG");
  if (g2p != nullptr)
    for (const std::string& phone : g2p->phones()) row_of_g2p_.push_back(row(phone));
  for (char c = 'a'; c <= 'z'; ++c)
    if (letter(c).empty())
      fail(GALAGO_E_CORRUPT, "pronunciations: the name of the letter %c is missing (\"%c.\")", c,
           c);
}

uint8_t WordPhones::row(std::string_view phone) const {
  const std::vector<std::string>& phones = dictionary_.phones();
  const auto found = std::find(phones.begin(), phones.end(), phone);
  if (found == phones.end())
    fail(GALAGO_E_CORRUPT, "pronunciations: the alphabet has no \"%s\"",
         std::string(phone).c_str());
  return static_cast<uint8_t>(found - phones.begin());
}

WordPhones::Phones WordPhones::listed(std::string_view word) const {
  const PhoneSpan span = dictionary_.find(word);
  return Phones(span.begin(), span.end());
}

WordPhones::Phones WordPhones::letter(char letter) const {
  const char name[] = {letter, '.'};
  return listed({name, 2});
}

WordPhones::Phones WordPhones::with_ending(Phones stem, std::string_view ending) const {
  const uint8_t last = stem.back();
  if (ending == "s") {
    if (is_sibilant_[last]) stem.push_back(ih0_);
    stem.push_back(is_voiceless_[last] && !is_sibilant_[last] ? s_ : z_);
  } else if (ending == "ed") {
    const bool needs_vowel = last == t_ || last == d_;
    if (needs_vowel) stem.push_back(ih0_);
    stem.push_back(is_voiceless_[last] && !needs_vowel ? t_ : d_);
  } else if (ending == "ing") {
    stem.push_back(ih0_);
    stem.push_back(ng_);
  }
  return stem;
}

WordPhones::Phones WordPhones::derived(std::string_view word) const {
  for (const Stem& stem : stems_of(word)) {
    Phones phones = listed(stem.stem);
    if (!phones.empty()) return with_ending(std::move(phones), stem.ending);
  }
  return {};
}

// As the network reads it; its first vowel is stressed where the network stressed none. Letter by
// letter where that gives nothing.
WordPhones::Phones WordPhones::read_letters(std::string_view word) {
  Phones phones;
  if (g2p_ != nullptr) {
    for (const uint8_t phone : g2p_->pronounce(word)) phones.push_back(row_of_g2p_[phone]);
    const auto name = [&](uint8_t phone) -> const std::string& {
      return dictionary_.phones()[phone];
    };
    const bool is_stressed = std::any_of(phones.begin(), phones.end(), [&](uint8_t phone) {
      return is_vowel(phone) && name(phone).back() == '1';
    });
    for (uint8_t& phone : phones) {
      if (is_stressed || !is_vowel(phone)) continue;
      phone = row(name(phone).substr(0, name(phone).size() - 1) + "1");
      break;
    }
  }
  if (!phones.empty()) return phones;
  for (const char c : word) {
    if (c < 'a' || c > 'z') continue;
    const Phones name = letter(c);
    phones.insert(phones.end(), name.begin(), name.end());
  }
  return phones;
}

WordPhones::Phones WordPhones::word(std::string_view word) {
  Phones phones = listed(word);
  if (phones.empty()) phones = derived(word);
  if (!phones.empty()) return phones;
  const auto known = read_.find(word);
  if (known != read_.end()) return known->second;
  ++num_unknown_;
  // A possessive of an unknown name: the name is read, and the ending is regular.
  const bool is_possessive = ends_with(word, "'s") && word.size() > 3;
  phones = read_letters(is_possessive ? word.substr(0, word.size() - 2) : word);
  if (is_possessive && !phones.empty()) phones = with_ending(std::move(phones), "s");
  if (read_.size() < kMaxKept) read_.emplace(word, phones);
  return phones;
}

void WordPhones::append(const std::vector<SpokenWord>& words, size_t i, std::vector<uint8_t>* out) {
  const SpokenWord& spoken = words[i];
  Phones phones;
  if (spoken.kind == SpokenWord::Kind::kPhones) {
    for (std::string_view rest = spoken.text; !rest.empty();) {
      const size_t end = std::min(rest.find(' '), rest.size());
      phones.push_back(row(rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  } else if (spoken.kind == SpokenWord::Kind::kLetter) {
    phones = letter(spoken.text[0]);
    if (spoken.text.size() > 1) phones = with_ending(std::move(phones), "s");
  } else {
    const std::string_view sense = sense_of(words, i);
    if (!sense.empty()) phones = listed(spoken.text + "/" + std::string(sense));
    if (phones.empty()) phones = word(spoken.text);
  }
  out->insert(out->end(), phones.begin(), phones.end());
}

}  // namespace galago
