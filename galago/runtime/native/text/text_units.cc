#include "text/text_units.h"

#include "text/plain_text.h"

namespace galago {
namespace {

struct Unit {
  const char* sign;
  const char* singular;
  const char* plural;
  bool is_only_attached = false;
};

#define MICRO "\x85"
#define DEGREE "\x84"
constexpr Unit kUnits[] = {
    {"%", "percent", "percent"},
    {DEGREE, "degree", "degrees"},
    {DEGREE "C", "degree celsius", "degrees celsius"},
    {DEGREE "F", "degree fahrenheit", "degrees fahrenheit"},
    {"km", "kilometer", "kilometers"},
    {"m", "meter", "meters"},
    {"dm", "decimeter", "decimeters"},
    {"cm", "centimeter", "centimeters"},
    {"mm", "millimeter", "millimeters"},
    {MICRO "m", "micrometer", "micrometers"},
    {"nm", "nanometer", "nanometers"},
    {"mi", "mile", "miles"},
    {"yd", "yard", "yards"},
    {"ft", "foot", "feet"},
    {"in", "inch", "inches", true},
    {"kg", "kilogram", "kilograms"},
    {"g", "gram", "grams"},
    {"mg", "milligram", "milligrams"},
    {MICRO "g", "microgram", "micrograms"},
    {"t", "ton", "tons", true},
    {"lb", "pound", "pounds"},
    {"lbs", "pound", "pounds"},
    {"oz", "ounce", "ounces"},
    {"l", "liter", "liters"},
    {"L", "liter", "liters"},
    {"dl", "deciliter", "deciliters"},
    {"cl", "centiliter", "centiliters"},
    {"ml", "milliliter", "milliliters"},
    {"mL", "milliliter", "milliliters"},
    {"h", "hour", "hours"},
    {"hr", "hour", "hours"},
    {"hrs", "hour", "hours"},
    {"min", "minute", "minutes"},
    {"mins", "minute", "minutes"},
    {"s", "second", "seconds"},
    {"sec", "second", "seconds"},
    {"secs", "second", "seconds"},
    {"ms", "millisecond", "milliseconds"},
    {MICRO "s", "microsecond", "microseconds"},
    {"ns", "nanosecond", "nanoseconds"},
    {"Hz", "hertz", "hertz"},
    {"kHz", "kilohertz", "kilohertz"},
    {"MHz", "megahertz", "megahertz"},
    {"GHz", "gigahertz", "gigahertz"},
    {"rpm", "revolution per minute", "revolutions per minute"},
    {"fps", "frame per second", "frames per second"},
    {"mph", "mile per hour", "miles per hour"},
    {"kph", "kilometer per hour", "kilometers per hour"},
    {"V", "volt", "volts"},
    {"mV", "millivolt", "millivolts"},
    {"kV", "kilovolt", "kilovolts"},
    {"A", "amp", "amps", true},
    {"mA", "milliamp", "milliamps"},
    {MICRO "A", "microamp", "microamps"},
    {"Ah", "amp hour", "amp hours"},
    {"mAh", "milliamp hour", "milliamp hours"},
    {"W", "watt", "watts"},
    {"mW", "milliwatt", "milliwatts"},
    {"kW", "kilowatt", "kilowatts"},
    {"MW", "megawatt", "megawatts"},
    {"Wh", "watt hour", "watt hours"},
    {"kWh", "kilowatt hour", "kilowatt hours"},
    {"J", "joule", "joules", true},
    {"kJ", "kilojoule", "kilojoules"},
    {"cal", "calorie", "calories"},
    {"kcal", "kilocalorie", "kilocalories"},
    {"N", "newton", "newtons", true},
    {"Nm", "newton meter", "newton meters"},
    {"Pa", "pascal", "pascals"},
    {"hPa", "hectopascal", "hectopascals"},
    {"kPa", "kilopascal", "kilopascals"},
    {"bar", "bar", "bar"},
    {"psi", "pound per square inch", "pounds per square inch"},
    {"K", "kelvin", "kelvin", true},
    {"dB", "decibel", "decibels"},
    {"lx", "lux", "lux"},
    {"lm", "lumen", "lumens"},
    {"Ohm", "ohm", "ohms"},
    {"kOhm", "kiloohm", "kiloohms"},
    {"MOhm", "megaohm", "megaohms"},
    {"F", "farad", "farads", true},
    {MICRO "F", "microfarad", "microfarads"},
    {"nF", "nanofarad", "nanofarads"},
    {"pF", "picofarad", "picofarads"},
    {"B", "byte", "bytes", true},
    {"kB", "kilobyte", "kilobytes"},
    {"KB", "kilobyte", "kilobytes"},
    {"MB", "megabyte", "megabytes"},
    {"GB", "gigabyte", "gigabytes"},
    {"TB", "terabyte", "terabytes"},
    {"KiB", "kibibyte", "kibibytes"},
    {"MiB", "mebibyte", "mebibytes"},
    {"GiB", "gibibyte", "gibibytes"},
    {"kbps", "kilobit per second", "kilobits per second"},
    {"Mbps", "megabit per second", "megabits per second"},
    {"Gbps", "gigabit per second", "gigabits per second"},
    {"Mbit", "megabit", "megabits"},
    {"px", "pixel", "pixels"},
    {"MP", "megapixel", "megapixels"},
    {"ppm", "part per million", "parts per million"},
    {"ha", "hectare", "hectares", true},
    {"sq", "square", "square"},
    {"d", "day", "days", true},
    {"mo", "month", "months", true},
    {"yr", "year", "years"},
    {"yrs", "year", "years"},
};
#undef DEGREE
#undef MICRO

const Unit* find_unit(std::string_view sign, bool is_attached) {
  for (const Unit& unit : kUnits)
    if (sign == unit.sign && (is_attached || !unit.is_only_attached)) return &unit;
  return nullptr;
}

// One factor, its power in words before it: "m^2", "m2", "cm^3".
std::string factor_words(std::string_view sign, bool is_one, bool is_attached) {
  std::string power;
  if (sign.size() > 1 && (sign.back() == '2' || sign.back() == '3')) {
    power = sign.back() == '2' ? "square " : "cubic ";
    sign.remove_suffix(sign[sign.size() - 2] == '^' ? 2 : 1);
    is_attached = true;  // such a sign is no word
  }
  const Unit* unit = find_unit(sign, is_attached);
  return unit == nullptr ? "" : power + (is_one ? unit->singular : unit->plural);
}

constexpr Currency kDollar = {"dollar", "dollars", "cent", "cents"};
constexpr Currency kEuro = {"euro", "euros", "cent", "cents"};
constexpr Currency kPound = {"pound", "pounds", "penny", "pence"};
constexpr Currency kYen = {"yen", "yen", "", ""};
constexpr Currency kCent = {"cent", "cents", "", ""};
constexpr Currency kFranc = {"franc", "francs", "centime", "centimes"};

const Currency* currency_of_sign(char sign) {
  switch (sign) {
    case '$':
      return &kDollar;
    case kEuroSign:
      return &kEuro;
    case kPoundSign:
      return &kPound;
    case kYenSign:
      return &kYen;
    case kCentSign:
      return &kCent;
    default:
      return nullptr;
  }
}

}  // namespace

std::string unit_words(std::string_view sign, bool is_one, bool is_attached) {
  const size_t slash = sign.find('/');
  if (slash == std::string_view::npos) return factor_words(sign, is_one, is_attached);
  const std::string above = factor_words(sign.substr(0, slash), is_one, true);
  const std::string below = factor_words(sign.substr(slash + 1), true, true);
  return above.empty() || below.empty() ? "" : above + " per " + below;
}

const Currency* leading_currency(std::string_view text, size_t* num_bytes) {
  *num_bytes = text.substr(0, 3) == "US$" ? 3 : text.substr(0, 2) == "A$" ? 2 : 1;
  if (text.size() <= *num_bytes) return nullptr;
  return currency_of_sign(text[*num_bytes - 1]);
}

const Currency* trailing_currency(std::string_view text, size_t* num_bytes) {
  *num_bytes = 1;
  return text.size() < 2 ? nullptr : currency_of_sign(text.back());
}

const Currency* currency_code(std::string_view text) {
  if (text == "USD") return &kDollar;
  if (text == "EUR") return &kEuro;
  if (text == "GBP") return &kPound;
  if (text == "JPY") return &kYen;
  if (text == "CHF") return &kFranc;
  return nullptr;
}

std::string_view scale_word(std::string_view text, bool is_money) {
  static constexpr struct {
    const char* text;
    const char* word;
    bool is_short;
  } kScales[] = {
      {"hundred", "hundred", false}, {"thousand", "thousand", false}, {"million", "million", false},
      {"billion", "billion", false}, {"trillion", "trillion", false}, {"k", "thousand", true},
      {"K", "thousand", true},       {"m", "million", true},          {"M", "million", true},
      {"mn", "million", true},       {"bn", "billion", true},         {"B", "billion", true},
      {"b", "billion", true},        {"tn", "trillion", true},        {"T", "trillion", true}};
  for (const auto& scale : kScales)
    if (text == scale.text && (is_money || !scale.is_short)) return scale.word;
  return {};
}

}  // namespace galago
