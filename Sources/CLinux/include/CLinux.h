// Linux calls that Swift cannot spell: variadic `syscall`, control-message macros, `prctl`.
// Every function returns what the call returns: -1 and `errno` on failure, unless it says otherwise.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// An anonymous file in memory that another process can map: `memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)`.
int xs_memfd_create(const char *name);

/// Seals the file's size, so that a peer's mapping can never fault: `F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL`.
int xs_seal_size(int fd);

/// Sends `length` bytes (at least one) and one descriptor over a Unix stream socket. Returns the bytes sent.
ssize_t xs_send_descriptor(int socket, const void *bytes, size_t length, int descriptor);

/// Receives up to `length` bytes and the first descriptor that came with them (`*descriptor` is -1 if none came; close-on-exec).
/// Further descriptors are closed, so that a hostile peer cannot fill our table.
ssize_t xs_receive_descriptor(int socket, void *bytes, size_t length, int *descriptor);

/// The peer of a connected Unix socket; 0 on success.
int xs_peer_credentials(int socket, pid_t *pid, uid_t *uid);

/// Sleeps while `*word == expected`, at most `nanoseconds` (negative: without limit). 0 when woken; -1 with EAGAIN, EINTR or ETIMEDOUT.
int xs_futex_wait(const uint32_t *word, uint32_t expected, int64_t nanoseconds);

/// Wakes at most `count` sleepers on `word`; returns how many.
int xs_futex_wake(const uint32_t *word, int count);

/// Asks the kernel to send `signal` to this process when its parent dies.
int xs_signal_on_parent_death(int signal);

/// The seals of a memory file (`F_GET_SEALS`).
int xs_get_seals(int fd);

/// True if those seals keep the file from shrinking, so that no mapping of it can fault.
int xs_seals_forbid_shrinking(int seals);

/// CRC32C (Castagnoli) of `crc`'s bytes followed by these; start with 0. By instruction where the CPU has it.
uint32_t xs_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same by table, on any CPU.
uint32_t xs_crc32c_by_table(uint32_t crc, const void *bytes, size_t length);

/// Copies past the caches, for more bytes than they would keep; what was copied is seen by whoever is told afterwards.
/// The two do not overlap.
void xs_copy_streaming(void *to, const void *from, size_t length);

/// As `xs_copy_streaming`, and returns the `xs_crc32c` of the bytes that it read, which it reads once.
uint32_t xs_copy_streaming_crc32c(uint32_t crc, void *to, const void *from, size_t length);

/// The next connection of a listener, non-blocking and close-on-exec: `accept4`.
int xs_accept(int listener);

/// A descriptor that `poll` finds readable once 8 bytes that are not all zero were written to it: `eventfd`.
int xs_event_descriptor(void);

/// Names the calling thread, at most 15 bytes, for `top -H`.
void xs_name_thread(const char *name);

/// Processors that one mask can name: bit `p % 64` of word `p / 64` is processor p.
enum { xs_processor_limit = 1024 };

/// The processors that this thread may run on: `sched_getaffinity`, whose `cpu_set_t` is made by macros.
int xs_get_processors(uint64_t mask[xs_processor_limit / 64]);

/// Sets them: `sched_setaffinity`. Those that the machine lacks are left out; EINVAL if none remains.
int xs_set_processors(const uint64_t mask[xs_processor_limit / 64]);
