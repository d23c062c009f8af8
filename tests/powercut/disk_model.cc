#include "instar/tests/powercut/disk_model.h"

#include <algorithm>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace instar::powercut {
namespace {

void put(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

// The part of a write that lies in one sector.
struct Piece {
  std::uint64_t offset = 0;
  std::string_view bytes;
};

Piece pieceOf(const PendingWrite& write, std::uint64_t sector) {
  const std::uint64_t begin = std::max(write.offset, sector * kSectorSize);
  const std::uint64_t end = std::min(write.offset + write.bytes.size(), (sector + 1) * kSectorSize);
  return {begin, write.bytes.substr(begin - write.offset, end - begin)};
}

// Without what lies before or behind these bytes of the sector.
Piece clipped(Piece piece, std::uint64_t sector, const Tear& tear) {
  const std::uint64_t start = sector * kSectorSize;
  const std::uint64_t begin = std::clamp(start + tear.begin, piece.offset, piece.offset + piece.bytes.size());
  const std::uint64_t end = std::clamp(start + tear.end, begin, piece.offset + piece.bytes.size());
  return {begin, piece.bytes.substr(begin - piece.offset, end - begin)};
}

std::string_view folderOf(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? "." : path.substr(0, slash);
}

void change(std::map<std::string, std::uint32_t>& names, const PendingName& pending) {
  if (pending.operation == Operation::rename || pending.operation == Operation::unlink)
    names.erase(pending.from);
  if (pending.operation != Operation::unlink) names[pending.to] = pending.file;
}

}  // namespace

void DiskModel::advanceTo(std::size_t point) {
  for (; point_ < point; ++point_) apply(point_);
}

void DiskModel::apply(std::size_t index) {
  const Event& event = recording_->events()[index];
  switch (event.operation) {
    case Operation::create:
    case Operation::rename:
    case Operation::link:
    case Operation::unlink:
      return addName(index, event);
    case Operation::write:
    case Operation::truncate:
      return addWrite(index, event);
    case Operation::writeThrough:
      if (syncs_ == Syncs::ignored) return addWrite(index, event);
      return makeDurableThrough(event);
    case Operation::syncBegin:
    case Operation::folderSyncBegin:
      syncsBegun_[event.number] = index;
      return;
    case Operation::syncEnd:
      if (syncs_ == Syncs::kept) makeDurable(event.file, syncsBegun_.at(event.number));
      return;
    case Operation::folderSyncEnd:
      if (syncs_ == Syncs::kept) makeNamesDurable(event.payload, syncsBegun_.at(event.number));
      return;
    case Operation::mark:
    case Operation::unknown:
      return;
  }
}

void DiskModel::addWrite(std::size_t index, const Event& event) {
  File& file = files_[event.file];
  const bool isTruncation = event.operation == Operation::truncate;
  if (isTruncation && event.offset < file.size)
    throw std::runtime_error("a file that shrinks is not modelled");
  file.size = std::max(file.size, event.offset + event.payload.size());
  writes_.push_back({index, event.file, event.offset, event.payload, file.size});
}

void DiskModel::addName(std::size_t index, const Event& event) {
  const auto zero = std::min(event.payload.find('\0'), event.payload.size());
  PendingName pending{index, event.operation, event.payload.substr(0, zero), {}, event.file};
  if (event.operation == Operation::create)
    pending.to = pending.from;
  else if (event.operation != Operation::unlink)
    pending.to = event.payload.substr(zero + 1);
  if (event.operation != Operation::create) pending.file = namesInMemory_.at(pending.from);
  if (folderOf(pending.from) != folderOf(pending.to.empty() ? pending.from : pending.to))
    throw std::runtime_error("a file that moves to another folder is not modelled");
  change(namesInMemory_, pending);
  names_.push_back(std::move(pending));
}

void DiskModel::makeDurable(std::uint32_t file, std::size_t before) {
  std::string& durable = files_[file].durable;
  std::erase_if(writes_, [&](const PendingWrite& write) {
    if (write.file != file || write.event >= before) return false;
    for (std::uint64_t index = 0; index < write.sectors(); ++index) {
      if (write.durableSectors.contains(index)) continue;
      const Piece piece = pieceOf(write, write.firstSector() + index);
      put(durable, piece.offset, piece.bytes);
    }
    if (durable.size() < write.sizeAfter) durable.resize(write.sizeAfter);
    return true;
  });
}

void DiskModel::makeDurableThrough(const Event& event) {
  File& file = files_[event.file];
  file.size = std::max(file.size, event.offset + event.payload.size());
  const PendingWrite through{0, event.file, event.offset, event.payload, file.size};
  if (through.sectors() > 1) throw std::runtime_error("a synchronous write that can be torn is not modelled");
  // A sector goes to the disk as a whole, with what earlier writes have put into it.
  for (std::uint64_t index = 0; index < through.sectors(); ++index) {
    const std::uint64_t sector = through.firstSector() + index;
    for (PendingWrite& write : writes_) {
      if (write.file != event.file || sector - write.firstSector() >= write.sectors()) continue;
      if (!write.durableSectors.insert(sector - write.firstSector()).second) continue;
      const Piece piece = pieceOf(write, sector);
      put(file.durable, piece.offset, piece.bytes);
    }
  }
  put(file.durable, event.offset, event.payload);
}

void DiskModel::makeNamesDurable(std::string_view folder, std::size_t before) {
  std::erase_if(names_, [&](const PendingName& pending) {
    if (pending.event >= before || folderOf(pending.from) != folder) return false;
    change(durableNames_, pending);
    return true;
  });
}

bool DiskModel::mayBeTorn(std::uint64_t sector) const noexcept {
  const bool isOfMetaPage = sector == 0 || sector == kSectorsOfAPage;
  return !isOfMetaPage || metaPages_ == MetaPages::torn;
}

Image DiskModel::build(const Survival& survival) const {
  std::map<std::string, std::uint32_t> names = durableNames_;
  for (std::size_t index = 0; index < names_.size(); ++index) {
    if (survival.name(index)) change(names, names_[index]);
  }
  // In each sector all writes up to the last one that is there.
  const auto placeOf = [](std::uint32_t file, std::uint64_t sector) {
    return std::uint64_t{file} << 40 | sector;
  };
  std::unordered_map<std::uint64_t, std::size_t> last;
  for (std::size_t index = 0; index < writes_.size(); ++index) {
    const PendingWrite& write = writes_[index];
    for (std::uint64_t sector = 0; sector < write.sectors(); ++sector) {
      if (survival.sector(index, sector)) last[placeOf(write.file, write.firstSector() + sector)] = index;
    }
  }
  std::map<std::uint32_t, std::string> contents;
  for (const auto& [name, file] : names) {
    const auto known = files_.find(file);
    contents[file] = known == files_.end() ? std::string() : known->second.durable;
  }
  std::map<std::uint32_t, std::vector<std::uint64_t>> sizes;
  for (auto& [file, content] : contents) sizes[file] = {content.size()};
  for (std::size_t index = 0; index < writes_.size(); ++index) {
    const PendingWrite& write = writes_[index];
    const auto content = contents.find(write.file);
    if (content == contents.end()) continue;  // it has no name
    if (write.sizeAfter > sizes[write.file].back()) sizes[write.file].push_back(write.sizeAfter);
    for (std::uint64_t sector = 0; sector < write.sectors(); ++sector) {
      const auto latest = last.find(placeOf(write.file, write.firstSector() + sector));
      if (latest == last.end() || latest->second < index || write.durableSectors.contains(sector)) continue;
      Piece piece = pieceOf(write, write.firstSector() + sector);
      if (latest->second == index && mayBeTorn(write.firstSector() + sector))
        piece = clipped(piece, write.firstSector() + sector, survival.tear(index, sector));
      if (!piece.bytes.empty()) put(content->second, piece.offset, piece.bytes);
    }
  }
  for (auto& [file, content] : contents) {
    const std::vector<std::uint64_t>& choices = sizes[file];
    content.resize(choices.at(survival.size(file, choices.size())));
  }
  Image image;
  for (const auto& [name, file] : names) image[name] = contents.at(file);
  return image;
}

Image DiskModel::buildWithEverything() const {
  return build({[](std::size_t, std::uint64_t) { return true; },
                [](std::uint32_t, std::size_t sizes) { return sizes - 1; },
                [](std::size_t) { return true; }});
}

}  // namespace instar::powercut
