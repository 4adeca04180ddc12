// Phones as users write them: ARPAbet with or without stress, and IPA for US English.
#ifndef GALAGO_NATIVE_TEXT_ARPABET_H_
#define GALAGO_NATIVE_TEXT_ARPABET_H_

#include <optional>
#include <string>
#include <string_view>

namespace galago {

// ARPAbet to the names of the voice's alphabet, one space between two. A vowel without a digit is
// unstressed, but where no vowel has one the first takes the primary stress. nullopt where a phone
// is unknown, or there is none.
std::optional<std::string> normalized_arpabet(std::string_view phones);

// The same for IPA: "təˈmeɪtoʊ" -> T AH0 M EY1 T OW0. Stress marks belong to the next vowel.
std::optional<std::string> arpabet_of_ipa(std::string_view ipa);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_ARPABET_H_
