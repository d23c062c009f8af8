#pragma once

// What the kernel says of a process. Throw std::runtime_error where it does not say. Any thread.

#include <sys/types.h>

#include <cstdint>

namespace instar::bench {

// Bytes that it has handed to write calls so far; 0: this process.
std::uint64_t bytesWritten(pid_t process = 0);

// From the device, by this process.
std::uint64_t bytesReadFromDevice();

// Memory of this process that is not of files, now.
std::uint64_t ownMemory();

// Of this thread, in nanoseconds.
double processorTime();

}  // namespace instar::bench
