#include "text/arpabet.h"

#include <algorithm>
#include <vector>

namespace galago {
namespace {

constexpr std::string_view kVowels[] = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER",
                                        "EY", "IH", "IY", "OW", "OY", "UH", "UW"};
constexpr std::string_view kConsonants[] = {"B",  "CH", "D",  "DH", "F",  "G", "HH", "JH",
                                            "K",  "L",  "M",  "N",  "NG", "P", "R",  "S",
                                            "SH", "T",  "TH", "V",  "W",  "Y", "Z",  "ZH"};

template <size_t N>
bool is_among(std::string_view phone, const std::string_view (&phones)[N]) {
  return std::find(std::begin(phones), std::end(phones), phone) != std::end(phones);
}

struct Phone {
  std::string name;   // without stress
  char stress = ' ';  // '0' ... '2', ' ' where none is written
};

std::optional<std::string> joined(std::vector<Phone> phones) {
  if (phones.empty()) return std::nullopt;
  const bool has_stress = std::any_of(phones.begin(), phones.end(),
                                      [](const Phone& phone) { return phone.stress != ' '; });
  bool needs_primary = !has_stress;
  std::string text;
  for (Phone& phone : phones) {
    if (!text.empty()) text += ' ';
    text += phone.name;
    if (!is_among(phone.name, kVowels)) continue;
    if (phone.stress == ' ') phone.stress = needs_primary ? '1' : '0';
    needs_primary = false;
    text += phone.stress;
  }
  return text;
}

struct IpaSign {
  const char* ipa;
  const char* phone;
};

// Longest first where one begins another.
constexpr IpaSign kIpa[] = {
    {"tʃ", "CH"}, {"t͡ʃ", "CH"}, {"dʒ", "JH"}, {"d͡ʒ", "JH"}, {"aɪ", "AY"}, {"aʊ", "AW"},
    {"eɪ", "EY"}, {"oʊ", "OW"}, {"əʊ", "OW"}, {"ɔɪ", "OY"}, {"ɑː", "AA"}, {"ɔː", "AO"},
    {"iː", "IY"}, {"uː", "UW"}, {"ɜː", "ER"}, {"ɜr", "ER"}, {"ər", "ER"}, {"ɑ", "AA"},
    {"ɒ", "AA"},  {"a", "AA"},  {"æ", "AE"},  {"ʌ", "AH"},  {"ə", "AH"},  {"ɔ", "AO"},
    {"ɛ", "EH"},  {"e", "EH"},  {"ɝ", "ER"},  {"ɚ", "ER"},  {"ɜ", "ER"},  {"ɪ", "IH"},
    {"i", "IY"},  {"o", "OW"},  {"ʊ", "UH"},  {"u", "UW"},  {"b", "B"},   {"d", "D"},
    {"ð", "DH"},  {"f", "F"},   {"ɡ", "G"},   {"g", "G"},   {"h", "HH"},  {"k", "K"},
    {"l", "L"},   {"ɫ", "L"},   {"m", "M"},   {"n", "N"},   {"ŋ", "NG"},  {"p", "P"},
    {"ɹ", "R"},   {"r", "R"},   {"ɾ", "T"},   {"s", "S"},   {"ʃ", "SH"},  {"t", "T"},
    {"θ", "TH"},  {"v", "V"},   {"w", "W"},   {"ʍ", "W"},   {"j", "Y"},   {"z", "Z"},
    {"ʒ", "ZH"}};
constexpr std::string_view kPrimary = "ˈ", kSecondary = "ˌ";
constexpr std::string_view kSilent[] = {" ", ".", "ː", "ʰ", "̩", "/", "[", "]", "'", "ʔ"};

template <size_t N>
size_t prefix_length(std::string_view text, const std::string_view (&signs)[N]) {
  for (const std::string_view sign : signs)
    if (text.substr(0, sign.size()) == sign) return sign.size();
  return 0;
}

}  // namespace

std::optional<std::string> normalized_arpabet(std::string_view text) {
  std::vector<Phone> phones;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \t\r\n-."), text.size());
    if (end > 0) {
      Phone phone;
      for (const char c : text.substr(0, end))
        phone.name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      if (phone.name.back() >= '0' && phone.name.back() <= '2') {
        phone.stress = phone.name.back();
        phone.name.pop_back();
      }
      const bool is_vowel = is_among(phone.name, kVowels);
      if (!is_vowel && (phone.stress != ' ' || !is_among(phone.name, kConsonants)))
        return std::nullopt;
      phones.push_back(phone);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return joined(std::move(phones));
}

std::optional<std::string> arpabet_of_ipa(std::string_view ipa) {
  std::vector<Phone> phones;
  char stress = ' ';
  while (!ipa.empty()) {
    if (ipa.substr(0, kPrimary.size()) == kPrimary) {
      stress = '1';
      ipa.remove_prefix(kPrimary.size());
      continue;
    }
    if (ipa.substr(0, kSecondary.size()) == kSecondary) {
      stress = '2';
      ipa.remove_prefix(kSecondary.size());
      continue;
    }
    const IpaSign* found = nullptr;
    for (const IpaSign& sign : kIpa) {
      const std::string_view signs = sign.ipa;
      if (ipa.substr(0, signs.size()) != signs) continue;
      found = &sign;
      break;
    }
    if (found == nullptr) {
      const size_t length = prefix_length(ipa, kSilent);
      if (length == 0) return std::nullopt;
      ipa.remove_prefix(length);
      continue;
    }
    Phone phone{found->phone};
    if (is_among(phone.name, kVowels)) phone.stress = stress, stress = ' ';
    phones.push_back(phone);
    ipa.remove_prefix(std::string_view(found->ipa).size());
  }
  return joined(std::move(phones));
}

}  // namespace galago
