// The role "voice" of manifest.json; docs/bundles.md has its contract.
#include "bundle/manifest_entry.h"
#include "bundle/manifest_roles.h"

namespace galago {
namespace {

constexpr int kMaxReaderPhones = 4096;
constexpr size_t kMaxPhones = 255;  // a phone is a byte in the dictionary

VoiceReaderTarget read_reader(const ManifestEntry& entry, const std::vector<FileEntry>& files,
                              const Voice& voice) {
  VoiceReaderTarget target;
  read_target(entry, files, &target);
  // A mark, a sound, a mark: less is no sentence.
  target.num_phones = static_cast<int>(entry.at("num_phones").integer(3, kMaxReaderPhones));
  for (const char* key : {"phones", "pitch_shift", "energy_shift"}) {
    target.inputs.push_back(read_tensor(entry, "inputs", key, {1, target.num_phones}));
  }
  target.outputs = {read_tensor(entry, "outputs", "rows", {1, target.num_phones, voice.row_width}),
                    read_tensor(entry, "outputs", "frames", {1, target.num_phones})};
  return target;
}

VoiceSpeakerTarget read_speaker(const ManifestEntry& entry, const std::vector<FileEntry>& files,
                                const Voice& voice) {
  VoiceSpeakerTarget target;
  read_target(entry, files, &target);
  const int64_t chunk = voice.chunk_frames;
  target.inputs = {read_tensor(entry, "inputs", "rows", {1, chunk, voice.row_width}),
                   read_tensor(entry, "inputs", "valid", {1, chunk}),
                   read_tensor(entry, "inputs", "noise", {1, chunk, voice.num_bins}),
                   read_tensor(entry, "inputs", "keep", {1})};
  target.outputs = {read_tensor(entry, "outputs", "samples", {1, chunk * voice.hop_samples})};
  return target;
}

}  // namespace

Voice read_voice(const ManifestEntry& entry, const std::vector<FileEntry>& files) {
  entry.expect_known("type", "fastspeech_streamed");
  const auto read = [&entry](const char* key, int64_t low, int64_t high) {
    return static_cast<int>(entry.at(key).integer(low, high));
  };
  Voice voice;
  voice.sample_rate_hz = read("sample_rate_hz", 1000, 384000);
  voice.hop_samples = read("hop_samples", 1, 65536);
  voice.row_width = read("row_width", 1, 65536);
  voice.num_bins = read("num_bins", 1, 65536);
  voice.delay_frames = read("delay_frames", 0, 4096);
  voice.chunk_frames = read("chunk_frames", 1, 4096);
  read_int(entry, "frames_per_phone_max", 1, 100000, &voice.frames_per_phone_max);
  if (const auto seed = entry.find("noise_seed")) {
    voice.noise_seed = static_cast<uint32_t>(seed->integer(0, 0xFFFFFFFF));
  }
  read_float(entry, "pitch_std_octaves", 0, 10, &voice.pitch_std_octaves);
  voice.phones = read_names(entry.at("phones"), kMaxPhones);
  voice.pronunciations = find_file(entry.at("pronunciations"), files);
  const auto g2p = entry.find("g2p");
  if (g2p && g2p->json().type != Json::Type::kNull) voice.g2p = find_file(*g2p, files);
  for (const ManifestEntry& item : entry.at("readers").items()) {
    voice.readers.push_back(read_reader(item, files, voice));
  }
  for (const ManifestEntry& item : entry.at("speakers").items()) {
    voice.speakers.push_back(read_speaker(item, files, voice));
  }
  for (const char* key : {"readers", "speakers"}) {
    if (entry.at(key).items().empty()) entry.at(key).complain("is empty");
  }
  return voice;
}

}  // namespace galago
